package load

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// missed is a run that went on while some connections were away.
type missed struct {
	book     *book
	patience time.Duration
}

// Leave cuts n connections, spread evenly, that are to come back: by Return with their
// cursors, or by Reopen without. It returns how many it has cut. What the others send in
// one Run meanwhile is due to those that return.
func (g *Generator) Leave(n int) (left int) {
	var total atomic.Int64
	g.each(func(l *loop) {
		slots := l.drop(g.share(n, l.index))
		for _, slot := range slots {
			l.slots.at(int(slot)).away = true
		}
		total.Add(int64(len(slots)))
	})
	return int(total.Load())
}

// Return opens the connections again that Leave has cut, at once, rate a second (0 for as
// fast as the server takes them), each with the last cursor that it was told. If there was a
// run meanwhile, it waits for what they have missed of it, for the run's Patience at most,
// and checks that all connections got each message once: Result.Check.
//
// Result.Elapsed is from the begin to the last welcome, and Result.Arrived to the last
// message that was missed.
func (g *Generator) Return(ctx context.Context, rate float64) (Result, error) {
	before, start := g.Stats(), g.now()
	r, err := g.connect(ctx, func(l *loop) *connectJob {
		slots := l.leftOnes()
		return &connectJob{slots: slots, count: len(slots), resume: true}
	}, rate)
	m := g.missed
	if err != nil || m == nil {
		return r, err
	}
	g.missed = nil
	r.Check = g.await(m.book, time.Now().Add(m.patience))
	arrived := start
	var mu sync.Mutex
	g.each(func(l *loop) {
		if l.traffic == nil {
			return // nobody of this loop was away
		}
		mu.Lock()
		defer mu.Unlock()
		arrived = max(arrived, l.traffic.arrived)
		l.traffic = nil
	})
	r.Arrived, r.Stats = time.Duration(arrived-start), g.Stats().Minus(before)
	return r, nil
}

// leftOnes returns the slots of the connections that are away.
func (l *loop) leftOnes() (slots []int32) {
	l.slots.each(func(c *conn) {
		if c.away && c.state == stateClosed {
			slots = append(slots, c.slot)
		}
	})
	return slots
}

func (l *loop) anyAway() bool { return len(l.leftOnes()) > 0 }

// Groups returns how many groups of up to fanout there are in the shape Group, so that so
// many messages are one for each.
func (c Config) Groups(fanout int) (int, error) {
	if err := c.complete(); err != nil {
		return 0, err
	}
	return len(newBook(&c, fanout).members), nil
}
