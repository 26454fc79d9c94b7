package load

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// Back waits until no connection is on its way, so that all that were lost have come back,
// which they do by themselves with Config.Follow. Result.Back tells how long that took each,
// since the last result of this generator.
func (g *Generator) Back(ctx context.Context) (Result, error) {
	before, start := g.Stats(), g.now()
	look := time.NewTicker(checkEvery)
	defer look.Stop()
	var err error
	for err == nil && g.onTheWay() > 0 {
		select {
		case <-look.C:
		case <-ctx.Done():
			err = fmt.Errorf("load: %d connections are still on their way: %w", g.onTheWay(), ctx.Err())
		}
	}
	r := g.collect(before, time.Duration(g.now()-start))
	r.Connect, r.Ack, r.Deliver = Latency{}, Latency{}, Latency{}
	return r, err
}

// onTheWay returns how many connections are being made or wait for their next attempt. The
// loops count them, between two things that they do: in the middle of one, a connection
// whose attempt has failed is not counted for the next one yet.
func (g *Generator) onTheWay() int64 {
	var n atomic.Int64
	g.each(func(l *loop) { n.Add(l.counters.connecting.Load()) })
	return n.Load()
}
