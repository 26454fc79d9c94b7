package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"github.com/godwit-im/godwit/bench/peers/control"
)

const (
	// maxOutflow is how many bytes may wait within a server that queues without a
	// bound of its own; a push then waits for the clients.
	maxOutflow = 64 << 20

	// stallTimeout is how long a push goes on while nothing gets out.
	stallTimeout = 30 * time.Second

	// waitStep is how long a push sleeps before it looks again.
	waitStep = time.Millisecond
)

// errStalled is the error of a push whose clients have stopped reading, or are gone.
var errStalled = fmt.Errorf("nothing was written for %v: some client does not read, or is gone", stallTimeout)

// payload returns the payload of every frame that is pushed, size bytes: 0, 1 and
// so on, modulo 251, so that bytes that are lost or moved show.
func payload(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return b
}

// frames returns n binary frames with a payload of size bytes each, as a server
// sends them.
func frames(size, n int) []byte {
	one := ws.MustCompileFrame(ws.NewBinaryFrame(payload(size)))
	all := make([]byte, 0, n*len(one))
	for range n {
		all = append(all, one...)
	}
	return all
}

// writes returns a function that gives the bytes of a connection's write, which
// are the same for all but the last.
func writes(p control.Push) func(write int) []byte {
	full := frames(p.Size, min(p.Batch, p.Count))
	one := len(full) / min(p.Batch, p.Count)
	return func(write int) []byte { return full[:p.Frames(write)*one] }
}

// set is the connections of a server that has no list of its own. Any goroutine
// may call its methods.
type set[C comparable] struct {
	mu    sync.Mutex
	conns map[C]struct{} // guarded by mu
}

func newSet[C comparable]() *set[C] { return &set[C]{conns: make(map[C]struct{})} }

func (s *set[C]) add(c C) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = struct{}{}
}

func (s *set[C]) remove(c C) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

func (s *set[C]) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

func (s *set[C]) list() []C {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]C, 0, len(s.conns))
	for c := range s.conns {
		list = append(list, c)
	}
	return list
}

// pass writes to conns in passes, as many at once as there are cores: in each, a
// worker gives every one of its connections the next write, and then calls after
// with how many it served. It returns how many frames were written.
func pass[C any](ctx context.Context, conns []C, p control.Push, write func(c C, n int) error, after func(served, n int) error) (int64, error) {
	workers := min(runtime.GOMAXPROCS(0), len(conns))
	errs := make([]error, workers)
	var written atomic.Int64
	var all sync.WaitGroup
	for w := range workers {
		mine := conns[len(conns)*w/workers : len(conns)*(w+1)/workers]
		all.Go(func() {
			for n := range p.Writes() {
				for _, c := range mine {
					if err := write(c, n); err != nil {
						errs[w] = err
						return
					}
				}
				written.Add(int64(len(mine) * p.Frames(n)))
				if err := errors.Join(ctx.Err(), after(len(mine), n)); err != nil {
					errs[w] = err
					return
				}
			}
		})
	}
	all.Wait()
	return written.Load(), errors.Join(errs...)
}

// outflow counts the bytes that a server was given and that the kernel took, for
// servers that queue in between. What they write besides a push counts too: while
// one is under way the clients should be quiet.
type outflow struct {
	given atomic.Int64
	taken atomic.Int64
}

// reset forgets what was before a push.
func (o *outflow) reset() {
	o.given.Store(0)
	o.taken.Store(0)
}

// drain waits until no more than limit bytes are queued.
func (o *outflow) drain(ctx context.Context, limit int64) error {
	return await(ctx, func() (bool, int64) {
		taken := o.taken.Load()
		return o.given.Load()-taken <= limit, taken
	})
}

// await waits until look says that it is done. It fails when the number that look
// returns, a measure of progress, has not changed for stallTimeout.
func await(ctx context.Context, look func() (done bool, progress int64)) error {
	last, since := int64(-1), time.Now()
	for {
		done, progress := look()
		if done {
			return nil
		}
		if progress != last {
			last, since = progress, time.Now()
		} else if time.Since(since) > stallTimeout {
			return errStalled
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(waitStep):
		}
	}
}
