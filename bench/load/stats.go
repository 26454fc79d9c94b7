package load

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// counters count what happened on one loop since it began. The loop writes them, and
// anyone may read them.
type counters struct {
	connecting, open, flying                            atomic.Int64 // gauges
	opened, resumed, failed, closed                     atomic.Int64
	retried, directed, asked                            atomic.Int64
	sent, stored, rejected, unknown, unsent             atomic.Int64
	retryable                                           atomic.Int64 // of those rejected
	deliveries, frames, bytes, reads, heartbeats, pings atomic.Int64
	missing, repeated, gapped, bad, stale               atomic.Int64

	mu struct {
		sync.Mutex
		events map[string]int64
	}
}

// count counts an event that is rare, by what it is called.
func (c *counters) count(event string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.events == nil {
		c.mu.events = make(map[string]int64)
	}
	c.mu.events[event]++
}

// Stats is what a generator has counted since it began.
type Stats struct {
	// Connections: being opened and open now; and all that were ever opened, those of them
	// that went on from a cursor with nothing missing, that could not be opened, and that
	// ended after they were. With Config.Follow one that pauses before it tries again is
	// being opened.
	Connecting int64 `json:"connecting"`
	Open       int64 `json:"open"`
	Opened     int64 `json:"opened"`
	Resumed    int64 `json:"resumed"`
	Failed     int64 `json:"failed"`
	Closed     int64 `json:"closed"`

	// Attempts that failed and were made again, times that a connection was directed to
	// another node, and questions for the route; with Config.Follow.
	Retried  int64 `json:"retried,omitempty"`
	Directed int64 `json:"directed,omitempty"`
	Asked    int64 `json:"asked,omitempty"`

	// Sends: on their way now; all that were sent, their answers (no answer counts as
	// Unknown; Retryable are those of Rejected that a client would send again), and those
	// that no connection was free to send.
	InFlight  int64 `json:"in_flight"`
	Sent      int64 `json:"sent"`
	Stored    int64 `json:"stored"`
	Rejected  int64 `json:"rejected"`
	Retryable int64 `json:"retryable"`
	Unknown   int64 `json:"unknown"`
	Unsent    int64 `json:"unsent"`

	// What came: messages of a run, all WebSocket messages, all bytes, and in how many
	// reads of a socket.
	Deliveries int64 `json:"deliveries"`
	Frames     int64 `json:"frames"`
	Bytes      int64 `json:"bytes"`
	Reads      int64 `json:"reads"`
	Heartbeats int64 `json:"heartbeats"`
	Pings      int64 `json:"pings"` // sent

	// What is wrong: sequence numbers that were skipped without a gap, or came again;
	// messages that a gap told of; deliveries that are damaged, and such of no message
	// of the run at hand.
	Missing  int64 `json:"missing"`
	Repeated int64 `json:"repeated"`
	Gapped   int64 `json:"gapped"`
	Bad      int64 `json:"bad"`
	Stale    int64 `json:"stale"`

	// Events counts what else happened, by name: why connections failed and closed,
	// why sends were rejected.
	Events map[string]int64 `json:"events,omitempty"`
}

func (s *Stats) add(c *counters) {
	s.Connecting += c.connecting.Load()
	s.Open += c.open.Load()
	s.Opened += c.opened.Load()
	s.Resumed += c.resumed.Load()
	s.Failed += c.failed.Load()
	s.Closed += c.closed.Load()
	s.Retried += c.retried.Load()
	s.Directed += c.directed.Load()
	s.Asked += c.asked.Load()
	s.InFlight += c.flying.Load()
	s.Sent += c.sent.Load()
	s.Stored += c.stored.Load()
	s.Rejected += c.rejected.Load()
	s.Retryable += c.retryable.Load()
	s.Unknown += c.unknown.Load()
	s.Unsent += c.unsent.Load()
	s.Deliveries += c.deliveries.Load()
	s.Frames += c.frames.Load()
	s.Bytes += c.bytes.Load()
	s.Reads += c.reads.Load()
	s.Heartbeats += c.heartbeats.Load()
	s.Pings += c.pings.Load()
	s.Missing += c.missing.Load()
	s.Repeated += c.repeated.Load()
	s.Gapped += c.gapped.Load()
	s.Bad += c.bad.Load()
	s.Stale += c.stale.Load()
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, n := range c.mu.events {
		if s.Events == nil {
			s.Events = make(map[string]int64)
		}
		s.Events[name] += n
	}
}

// Minus returns what was counted between before and s. Gauges are those of s.
func (s Stats) Minus(before Stats) Stats {
	d := s
	d.Opened -= before.Opened
	d.Resumed -= before.Resumed
	d.Failed -= before.Failed
	d.Closed -= before.Closed
	d.Retried -= before.Retried
	d.Directed -= before.Directed
	d.Asked -= before.Asked
	d.Sent -= before.Sent
	d.Stored -= before.Stored
	d.Rejected -= before.Rejected
	d.Retryable -= before.Retryable
	d.Unknown -= before.Unknown
	d.Unsent -= before.Unsent
	d.Deliveries -= before.Deliveries
	d.Frames -= before.Frames
	d.Bytes -= before.Bytes
	d.Reads -= before.Reads
	d.Heartbeats -= before.Heartbeats
	d.Pings -= before.Pings
	d.Missing -= before.Missing
	d.Repeated -= before.Repeated
	d.Gapped -= before.Gapped
	d.Bad -= before.Bad
	d.Stale -= before.Stale
	d.Events = maps.Clone(s.Events)
	for name, n := range before.Events {
		if d.Events[name] -= n; d.Events[name] == 0 {
			delete(d.Events, name)
		}
	}
	return d
}

// Flawless reports whether nothing was counted that must not happen while all clients
// read and stay.
func (s *Stats) Flawless() bool {
	return s.Failed+s.Closed+s.Rejected+s.Unknown+s.Unsent+s.Missing+s.Repeated+s.Gapped+s.Bad == 0
}

// NothingWrong is Flawless but for sends that the server refused for the moment, of which
// nothing was stored: a client would have sent them again.
func (s *Stats) NothingWrong() bool {
	c := *s
	c.Rejected -= c.Retryable
	return c.Flawless()
}

// results are the latencies of a loop, in microseconds.
type results struct {
	connect *hdrhistogram.Histogram // from the socket to the welcome
	back    *hdrhistogram.Histogram // from a loss to the welcome after it
	ack     *hdrhistogram.Histogram // from the time a send was due to its ack
	deliver *hdrhistogram.Histogram // from there to a delivery
}

func (r *results) init() {
	for _, h := range []**hdrhistogram.Histogram{&r.connect, &r.back, &r.ack, &r.deliver} {
		*h = newHistogram()
	}
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, histogramMax, histogramDigits)
}

func (r *results) merge(o *results) {
	r.connect.Merge(o.connect)
	r.back.Merge(o.back)
	r.ack.Merge(o.ack)
	r.deliver.Merge(o.deliver)
}

// Latency summarises a histogram, in microseconds.
type Latency struct {
	Count int64 `json:"count"`
	Mean  int64 `json:"mean_us"`
	P50   int64 `json:"p50_us"`
	P90   int64 `json:"p90_us"`
	P99   int64 `json:"p99_us"`
	P999  int64 `json:"p999_us"`
	Max   int64 `json:"max_us"`
}

func latencyOf(h *hdrhistogram.Histogram) Latency {
	if h.TotalCount() == 0 {
		return Latency{}
	}
	return Latency{
		Count: h.TotalCount(), Mean: int64(h.Mean()),
		P50: h.ValueAtPercentile(50), P90: h.ValueAtPercentile(90),
		P99: h.ValueAtPercentile(99), P999: h.ValueAtPercentile(99.9), Max: h.Max(),
	}
}

// Result is the outcome of opening connections or of a run.
type Result struct {
	Elapsed time.Duration `json:"elapsed_ns"` // until the last was open or answered
	Arrived time.Duration `json:"arrived_ns"` // until the last delivery of a run
	Stats   Stats         `json:"stats"`      // of this time only, but for the gauges
	Connect Latency       `json:"connect"`    // from the first attempt to the welcome
	Back    Latency       `json:"back"`       // from a loss to the welcome, with Config.Follow, since the result before
	Ack     Latency       `json:"ack"`        // from when a send was due to its answer
	Deliver Latency       `json:"deliver"`    // and to its deliveries
	Check   Check         `json:"check"`      // of a run
}
