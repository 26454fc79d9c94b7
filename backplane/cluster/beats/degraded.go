package beats

import "time"

// Degraded reports whether a node is cut off from the log: for DegradedAfter neither a
// beat, nor a produce, nor a fetch of its own succeeded. The three times are those of
// the last success of each (that a fetch found nothing new is one), or of the start of the
// node.
func Degraded(now, beat, produce, fetch time.Time) bool {
	latest := beat
	for _, t := range []time.Time{produce, fetch} {
		if t.After(latest) {
			latest = t
		}
	}
	return now.Sub(latest) >= DegradedAfter*time.Millisecond
}
