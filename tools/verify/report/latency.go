package report

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// How exact latencies are, in decimal digits: a step's must be small, a whole phase's
// may be more than that.
const (
	coarse = 1
	fine   = 2
)

// latencies gathers latencies, in microseconds. The zero value has none and takes no
// memory.
type latencies struct {
	h *hdrhistogram.Histogram
}

func (l *latencies) add(d time.Duration, digits int) {
	if l.h == nil {
		l.h = hdrhistogram.New(1, maxLatency.Microseconds(), digits)
	}
	// It takes whatever is within its bounds.
	_ = l.h.RecordValue(min(max(d, time.Microsecond), maxLatency).Microseconds())
}

// merge takes what other has, of the same digits; other is of no use any more.
func (l *latencies) merge(other *latencies) {
	switch {
	case other.h == nil:
	case l.h == nil:
		l.h = other.h
	default:
		l.h.Merge(other.h)
	}
}

func (l *latencies) summary() Latency {
	if l.h == nil {
		return Latency{}
	}
	at := func(q float64) time.Duration { return time.Duration(l.h.ValueAtQuantile(q)) * time.Microsecond }
	return Latency{Count: l.h.TotalCount(), P50: at(50), P99: at(99), Max: time.Duration(l.h.Max()) * time.Microsecond}
}
