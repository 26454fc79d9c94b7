package load

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Run sends what t says, waits for the answers, then for what is still to be delivered,
// and checks that every connection got each message once. When ctx ends the sending
// ends early; the waiting is the same.
//
// Result.Elapsed is from the first send to the last answer, and Result.Arrived to the last
// delivery.
func (g *Generator) Run(ctx context.Context, t Traffic) (Result, error) {
	if err := t.complete(&g.config); err != nil {
		return Result{}, err
	}
	g.run++
	fanout := 0
	if t.Shape == Group {
		fanout = t.Fanout
	}
	b := newBook(&g.config, fanout)
	before := g.Stats()
	var running sync.WaitGroup
	running.Add(len(g.loops))
	// All loops know the run before one of them sends: what they get of it is counted.
	g.each(func(l *loop) {
		job := g.job(l, &t, b)
		job.finished = running.Done
		l.begin(job)
	})
	start := g.now()
	g.each(func(l *loop) { l.traffic.release(start) })
	if g.wait(ctx, &running) != nil {
		g.each(func(l *loop) { l.traffic.stop(g.now()) })
		running.Wait()
	}
	check := g.await(b, time.Now().Add(t.Patience))
	last, arrived := start, start
	var mu sync.Mutex
	g.each(func(l *loop) {
		mu.Lock()
		defer mu.Unlock()
		last, arrived = max(last, l.traffic.last), max(arrived, l.traffic.arrived)
	})
	r := g.collect(before, time.Duration(last-start))
	r.Arrived, r.Check, r.Connect = time.Duration(arrived-start), check, Latency{}
	var away atomic.Bool
	g.each(func(l *loop) {
		if l.anyAway() {
			away.Store(true) // what they get when they return is of this run
		} else {
			l.traffic = nil
		}
	})
	g.missed = nil
	if away.Load() {
		g.missed = &missed{b, t.Patience}
	}
	return r, nil
}

// job returns a loop's part of a run, which waits for its release.
func (g *Generator) job(l *loop, t *Traffic, b *book) *trafficJob {
	loops := len(g.loops)
	j := &trafficJob{
		run: g.seed + g.run, spec: t, book: b, held: true,
		limit: 1<<63 - 1, deadline: never, flights: make(map[uint64]flight), cursor: -1,
	}
	if t.Rate > 0 {
		// The loops take turns.
		j.interval = float64(time.Second) * float64(loops) / t.Rate
		j.first = int64(j.interval * float64(l.index) / float64(loops))
	} else {
		j.window = max(g.share(t.InFlight, l.index), 1)
	}
	if t.Count > 0 {
		j.limit = t.Count/int64(loops) + int64(btoi(int64(l.index) < t.Count%int64(loops)))
	}
	if t.Duration > 0 {
		j.deadline = int64(t.Duration)
	}
	for group, members := range b.members {
		if int(members[0])%loops == l.index {
			j.groups = append(j.groups, uint32(group))
		}
	}
	return j
}

// release lets a run begin at start.
func (t *trafficJob) release(start int64) {
	t.held = false
	t.first += start
	if t.deadline != never {
		t.deadline += start
	}
}

// begin makes a run the one at hand.
func (l *loop) begin(j *trafficJob) {
	l.traffic = j
	l.results.ack.Reset()
	l.results.deliver.Reset()
	l.each(func(c *conn) {
		if c.state == stateOpen || c.away {
			c.sum, c.count, c.flying, c.partial = 0, 0, 0, c.slow
			if l.follows(c) {
				f := l.follower(c)
				f.sum, f.count, f.partial = 0, 0, c.slow
			}
		} else {
			c.partial = true
		}
	})
}

// await waits until every connection has what it should have, those that are on their way
// back included, or the time is over.
func (g *Generator) await(b *book, end time.Time) Check {
	for {
		began := time.Now()
		var mu sync.Mutex
		var total Check
		g.each(func(l *loop) {
			c := l.check(b)
			mu.Lock()
			defer mu.Unlock()
			total.add(c)
		})
		away := g.config.Follow && g.Stats().Connecting > 0
		if total.Lost == 0 && !away || time.Now().After(end) {
			return total
		}
		// Looking at a million connections takes a while, which others need.
		time.Sleep(max(checkEvery, 10*time.Since(began)))
	}
}
