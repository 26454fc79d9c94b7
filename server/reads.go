package server

import (
	"context"
	"sync"

	"github.com/godwit-im/godwit/server/session"
)

const (
	// readers is how many questions about timelines are worked out at once. Most wait
	// for a store or for the log, and many for the same scan of it.
	readers = 128

	// readingsPerLoop is how many questions the sessions of one loop may have asked.
	// Sessions that find no room wait for it in their loop.
	readingsPerLoop = 512

	// readQueue is how many questions may wait. Loops never have more, unless there are
	// very many of them, and they ask again a second later.
	readQueue = 16 * readingsPerLoop
)

// readPool works out what sessions ask about timelines.
type readPool struct {
	jobs    chan *session.Reading
	quit    context.CancelFunc
	workers sync.WaitGroup
}

// newReadPool returns a pool whose goroutines call work for each question.
func newReadPool(work func(context.Context, *session.Reading)) *readPool {
	ctx, cancel := context.WithCancel(context.Background())
	p := &readPool{jobs: make(chan *session.Reading, readQueue), quit: cancel}
	for range readers {
		p.workers.Go(func() {
			for {
				select {
				case r := <-p.jobs:
					work(ctx, r)
					r.Done()
				case <-ctx.Done():
					return
				}
			}
		})
	}
	return p
}

// later has a question worked out; see session.Deps.
func (p *readPool) later(r *session.Reading) bool {
	select {
	case p.jobs <- r:
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
