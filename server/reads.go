package server

import (
	"context"
	"sync"

	"github.com/godwit-im/godwit/server/session"
)

const (
	// farReaders is how many questions about timelines are worked out at once that lie
	// below a tail. Most wait for a store or for the log, and many for the same scan of it.
	farReaders = 128

	// nearReaders is how many are that a tail knows the answer to. They wait for nothing, but
	// for those that the tail gives up what they ask for before their turn.
	nearReaders = 16

	// readingsPerLoop is how many questions the sessions of one loop may have asked.
	// Sessions that find no room wait for it in their loop.
	readingsPerLoop = 512

	// readQueue is how many questions of either kind may wait. Loops never have more, unless
	// there are very many of them, and they ask again a second later.
	readQueue = 16 * readingsPerLoop
)

// readPool works out what sessions ask about timelines. What is in a tail does not wait for
// what is not: when the store is slow, devices that are only slow themselves go on.
type readPool struct {
	near, far chan *session.Reading
	quit      context.CancelFunc
	workers   sync.WaitGroup
}

// newReadPool returns a pool whose goroutines call work for each question.
func newReadPool(work func(context.Context, *session.Reading)) *readPool {
	ctx, cancel := context.WithCancel(context.Background())
	p := &readPool{near: make(chan *session.Reading, readQueue), far: make(chan *session.Reading, readQueue), quit: cancel}
	p.start(ctx, nearReaders, p.near, work)
	p.start(ctx, farReaders, p.far, work)
	return p
}

func (p *readPool) start(ctx context.Context, n int, jobs <-chan *session.Reading, work func(context.Context, *session.Reading)) {
	for range n {
		p.workers.Go(func() {
			for {
				select {
				case r := <-jobs:
					work(ctx, r)
				case <-ctx.Done():
					return
				}
			}
		})
	}
}

// later has a question worked out; see session.Deps.
func (p *readPool) later(r *session.Reading) bool {
	jobs := p.far
	if r.Near {
		jobs = p.near
	}
	select {
	case jobs <- r:
		return true
	default:
		return false
	}
}

// stop ends the workers, and cuts short what they wait for. Questions that nobody took get
// no answer.
func (p *readPool) stop() {
	p.quit()
	p.workers.Wait()
}
