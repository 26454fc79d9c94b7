package server

import (
	"sync"
	"time"

	"github.com/godwit-im/godwit/server/auth"
	"github.com/godwit-im/godwit/server/session"
)

// verifyQueue is how many tokens may wait to be verified off the loops. At some
// hundred microseconds a token that is a second's work.
const verifyQueue = 8192

// verifyPool verifies tokens whose signatures are too slow for an event loop.
type verifyPool struct {
	verifier *auth.Verifier
	jobs     chan verifyJob
	quit     chan struct{}
	workers  sync.WaitGroup
}

type verifyJob struct {
	token  string
	answer *session.Answer
}

func newVerifyPool(v *auth.Verifier, workers int) *verifyPool {
	p := &verifyPool{verifier: v, jobs: make(chan verifyJob, verifyQueue), quit: make(chan struct{})}
	for range workers {
		p.workers.Go(func() {
			for {
				select {
				case j := <-p.jobs:
					j.answer.Verified(v.Verify(j.token, time.Now()))
				case <-p.quit:
					return
				}
			}
		})
	}
	return p
}

// later has a token verified; see session.Deps.
func (p *verifyPool) later(token string, a *session.Answer) bool {
	select {
	case p.jobs <- verifyJob{token, a}:
		return true
	default:
		return false
	}
}

// stop ends the workers; who waits then gets no answer.
func (p *verifyPool) stop() {
	close(p.quit)
	p.workers.Wait()
}
