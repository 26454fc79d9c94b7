package beats

import "time"

// Degraded reports whether a node is cut off from the log: for DegradedAfter neither a
// beat, nor a produce, nor a fetch of its own succeeded. since is when the node started,
// and the others are the times of the last success of each, zero for never (that a fetch
// found nothing new is one).
func Degraded(now, since time.Time, successes ...time.Time) bool {
	latest := since
	for _, t := range successes {
		if t.After(latest) {
			latest = t
		}
	}
	return now.Sub(latest) >= DegradedAfter*time.Millisecond
}
