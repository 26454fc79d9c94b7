package workload

import (
	"context"
	"math/rand/v2"
	"time"
)

// pacer hands out messages at a rate, whether the cluster keeps up or not: when no device can
// take one, that one is left out. One goroutine owns it.
type pacer struct {
	load *Load
	rand *rand.Rand
}

// probes is how many devices are asked to take a message.
const probes = 50

// run hands out until ctx ends.
func (p *pacer) run(ctx context.Context) {
	ticks := time.NewTicker(2 * time.Millisecond)
	defer ticks.Stop()
	interval := time.Duration(float64(time.Second) / p.load.o.Rate)
	due := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		now := time.Now()
		if late := now.Sub(due); late > stall {
			missed := int64(late / interval)
			p.load.tally.count(func(c *Counts) { c.Skipped += missed })
			due = due.Add(time.Duration(missed) * interval)
		}
		for ; due.Before(now); due = due.Add(interval) {
			p.hand()
		}
	}
}

// hand gives a message to some device that is ready.
func (p *pacer) hand() {
	for range probes {
		d := p.load.devices[p.rand.IntN(len(p.load.devices))]
		if p.load.people.isQuiet(d.user) && p.rand.IntN(20) > 0 || !d.ready() {
			continue
		}
		d.post(d.drafts.next(int(p.load.body.Load())))
		return
	}
	p.load.tally.count(func(c *Counts) { c.Skipped++ })
}
