package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/godwit-im/godwit/bench/load"
	"github.com/godwit-im/godwit/bench/report"
)

// watch shows on one line, twice a second, how a generator does.
type watch struct {
	stop, done chan struct{}
	once       sync.Once
}

const watchEvery = 500 * time.Millisecond

func startWatch(g *load.Generator, w io.Writer) *watch {
	v := &watch{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(v.done)
		every := time.NewTicker(watchEvery)
		defer every.Stop()
		start := time.Now()
		before, at := g.Stats(), start
		for {
			select {
			case <-v.stop:
				fmt.Fprint(w, "\r\x1b[K")
				return
			case now := <-every.C:
				s := g.Stats()
				fmt.Fprint(w, "\r\x1b[K"+watchLine(now.Sub(start), now.Sub(at), s, s.Minus(before)))
				before, at = s, now
			}
		}
	}()
	return v
}

// end takes the line away. It may be called again.
func (v *watch) end() {
	v.once.Do(func() { close(v.stop) })
	<-v.done
}

// watchLine is the line: what there is now, and what came a second in the time passed
// since the line before.
func watchLine(elapsed, passed time.Duration, s, d load.Stats) string {
	rate := func(n int64) string { return report.Number(float64(n) / passed.Seconds()) }
	line := fmt.Sprintf("%v  %s connections  %s sent/s  %s delivered/s  %s in flight", elapsed.Round(time.Second),
		report.Number(float64(s.Open)), rate(d.Sent), rate(d.Deliveries), report.Number(float64(s.InFlight)))
	for _, bad := range []struct {
		n    int64
		text string
	}{{s.Connecting, "on their way"}, {s.Failed, "failed"}, {s.Rejected, "rejected"}, {s.Unknown, "unknown"}, {s.Gapped, "in gaps"}, {s.Missing + s.Repeated + s.Bad, "wrong"}} {
		if bad.n > 0 {
			line += fmt.Sprintf("  %s %s", report.Number(float64(bad.n)), bad.text)
		}
	}
	return line
}

// printText prints the report for people.
func (r *loadReport) printText(w io.Writer) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s "+format+"\n", append([]any{name}, args...)...)
	}
	n := func(v int64) string { return report.Number(float64(v)) }
	each := func(count int64, d time.Duration) string {
		return report.Number(float64(count) / max(d.Seconds(), 1e-9))
	}
	latency := func(name string, l load.Latency) {
		if l.Count > 0 {
			line(name, "p50 %s  p90 %s  p99 %s  p99.9 %s  max %s us", n(l.P50), n(l.P90), n(l.P99), n(l.P999), n(l.Max))
		}
	}
	c := &r.Connected
	line("connected", "%s in %v, %s a second; %s failed", n(c.Stats.Opened), c.Elapsed.Round(time.Millisecond), each(c.Stats.Opened, c.Elapsed), n(c.Stats.Failed))
	latency("", c.Connect)
	if r.Slow > 0 {
		line("slow", "%s connections did not read", n(int64(r.Slow)))
	}
	for _, s := range r.Storms {
		line("storm", "%s back after %v, %s failed; p99 %s us", n(s.Stats.Opened), s.Elapsed.Round(time.Millisecond), n(s.Stats.Failed), n(s.Connect.P99))
	}
	t, s := &r.Traffic, &r.Traffic.Stats
	line("sent", "%s, %s a second: %s stored, %s rejected, %s unknown, %s unsent", n(s.Sent), each(s.Sent, t.Elapsed), n(s.Stored), n(s.Rejected), n(s.Unknown), n(s.Unsent))
	latency("ack", t.Ack)
	line("delivered", "%s, %s a second; %s told as gaps", n(s.Deliveries), each(s.Deliveries, t.Arrived), n(s.Gapped))
	latency("delivery", t.Deliver)
	line("check", "%s deliveries were due on %s connections: %s lost, %s doubled, %s wrong; %s connections unchecked",
		n(t.Check.Due), n(t.Check.Checked), n(t.Check.Lost), n(t.Check.Doubled), n(t.Check.Wrong+s.Bad), n(t.Check.Unchecked))
	if t.Back.Count > 0 {
		line("came back", "%s of %s that were lost; %s attempts failed, %s questions for the route, %s times directed", n(t.Back.Count), n(s.Closed),
			n(s.Retried), n(s.Asked), n(s.Directed))
		latency("", t.Back)
	}
	if t.Check.Maybe > 0 {
		line("", "%s deliveries more are possible, of messages whose outcome is unknown", n(t.Check.Maybe))
	}
	for _, events := range []map[string]int64{c.Stats.Events, s.Events} {
		for _, name := range slices.Sorted(maps.Keys(events)) {
			line("", "%s times %s", n(events[name]), name)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
