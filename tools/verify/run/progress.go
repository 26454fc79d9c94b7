package run

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
	"github.com/godwit-im/godwit/tools/verify/report"
	"github.com/godwit-im/godwit/tools/verify/workload"
)

// progress tells how far a run is, every second. Any goroutine may call its methods but
// begin and end.
type progress struct {
	out    *report.Progress
	stop   chan struct{} // nil before begin and after end
	ticked sync.WaitGroup

	mu struct {
		sync.Mutex
		name   event.PhaseName
		ends   time.Time      // when the phase should be over; zero if nobody knows
		faults map[int]string // that last
	}
}

func newProgress(w io.Writer) *progress {
	if w == nil {
		w = io.Discard
	}
	p := &progress{out: report.NewProgress(w)}
	p.mu.faults = make(map[int]string)
	return p
}

// say writes a line.
func (p *progress) say(text string) { p.out.Say("%s", text) }

// begin begins to show what a load does.
func (p *progress) begin(begun time.Time, load *workload.Load) {
	p.stop = make(chan struct{})
	p.ticked.Go(func() {
		second := time.NewTicker(time.Second)
		defer second.Stop()
		var latency workload.Histogram
		for {
			select {
			case <-second.C:
			case <-p.stop:
				return
			}
			c := load.Counts()
			p.out.Show(p.counts(time.Since(begun), &c, c.Latency.Since(latency).Quantile(0.99)))
			latency = c.Latency
		}
	})
}

// end ends it. It may be called again.
func (p *progress) end() {
	if p.stop != nil {
		close(p.stop)
		p.ticked.Wait()
		p.stop = nil
	}
	p.out.End()
}

// counts returns what is shown.
func (p *progress) counts(elapsed time.Duration, c *workload.Counts, p99 time.Duration) report.Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	shown := report.Counts{
		Phase: p.mu.name, Elapsed: elapsed, Devices: c.Devices, Connected: c.Connected,
		Sends: c.Sends, Acks: c.Acks, Rejected: c.Nacks, Unknowns: c.Unknowns, Unseen: c.Unseen, Violations: c.Violations, P99: p99,
	}
	if !p.mu.ends.IsZero() {
		shown.Left = max(0, time.Until(p.mu.ends))
	}
	var faults []string
	for _, n := range slices.Sorted(maps.Keys(p.mu.faults)) {
		faults = append(faults, p.mu.faults[n])
	}
	shown.Fault = strings.Join(faults, ", ")
	return shown
}

// phase notes that a phase has begun.
func (p *progress) phase(name event.PhaseName, lasts time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.name, p.mu.ends = name, time.Time{}
	if lasts > 0 {
		p.mu.ends = time.Now().Add(lasts)
	}
}

// fault notes a step of a fault, and tells what was done.
func (p *progress) fault(e *event.Fault) {
	what := e.Kind + " of " + e.Target
	p.mu.Lock()
	if e.Phase == event.End {
		delete(p.mu.faults, e.N)
	} else {
		p.mu.faults[e.N] = what
	}
	p.mu.Unlock()
	p.say(fmt.Sprintf("fault %d, %s: %s: %s", e.N, what, e.Phase, e.Detail))
}
