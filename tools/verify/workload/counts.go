package workload

import (
	"math/bits"
	"time"
)

// Counts says what has happened so far.
type Counts struct {
	Devices   int // that take part
	Connected int // of them

	// Sends are attempts. Each has had one of the outcomes Acks, Nacks and Unknowns, but for
	// those that are OnTheWay.
	Sends, Acks, Nacks, Unknowns, OnTheWay int64

	// Skipped are messages that were due when no device could send one.
	Skipped int64

	Connects, Refusals, Closes, Moves int64
	Delivers, Gaps, Gones, Heartbeats int64
	Pages, RefusedPages               int64
	Violations                        int64

	// Unseen sums, over the acknowledged messages, the devices that lack them: those of
	// the sender and the recipients whose views began before the message was sent. Signals
	// and messages with a ttl do not count.
	Unseen int64

	// Latency is that from sends to their acks.
	Latency Histogram

	Conduct Conduct
}

// Conduct counts what devices have done on purpose.
type Conduct struct {
	Slow, Deaf        int64 // read slowly, did not read
	Cuts, Absences    int64 // ended connections without and with a goodbye, the latter to stay away
	Backs, Anew       int64 // connected with an older cursor, with none
	FromHeartbeats    int64 // connected with the cursor of a heartbeat
	Browses, CatchUps int64 // read history for its own sake, to fill gaps
	Refreshes         int64 // gave newer tokens
	Expiries          int64 // let a token expire
	Retries, Repeats  int64 // sent again what had no good outcome, what was stored
	GivenUp           int64 // never sent again, though the outcome was not good
	Faulty            int64 // messages that must be rejected
	Signals, Mortal   int64 // signals, and messages with a ttl
	Large             int64 // messages with a body of many KB
}

// Histogram counts durations by powers of the square root of two, from a microsecond on.
type Histogram [64]int64

// Since returns what a histogram counts beyond an earlier state of it.
func (h Histogram) Since(earlier Histogram) Histogram {
	for i := range h {
		h[i] -= earlier[i]
	}
	return h
}

// Count returns how many durations there are.
func (h Histogram) Count() (n int64) {
	for _, c := range h {
		n += c
	}
	return n
}

// Quantile returns a duration than which the share q of all, 0 to 1, is not longer, rounded
// up by at most 42 %. It is 0 if there are none.
func (h Histogram) Quantile(q float64) time.Duration {
	rank := int64(q * float64(h.Count()))
	for i, c := range h {
		if rank -= c; c > 0 && rank <= 0 {
			return bound(i)
		}
	}
	return 0
}

// bucket returns which of a histogram's counters a duration belongs to: the first whose
// bound it does not exceed.
func bucket(d time.Duration) int {
	us := uint64(max(d/time.Microsecond, 1))
	i := 2 * (bits.Len64(us) - 1) // bound(i) is the power of two that is not above
	for i < len(Histogram{})-1 && d > bound(i) {
		i++
	}
	return min(i, len(Histogram{})-1)
}

// bound returns the longest duration of a counter.
func bound(i int) time.Duration {
	d := time.Microsecond << (i / 2)
	if i%2 == 1 {
		d += d * 414 / 1000
	}
	return d
}
