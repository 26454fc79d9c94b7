package server

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/godwit-im/godwit/server/session"
)

// TestNearDoesNotWaitForFar: while everything that lies below a tail waits for a store
// that does not answer, what is in the tail is read.
func TestNearDoesNotWaitForFar(t *testing.T) {
	var waiting atomic.Int32
	answered := make(chan *session.Reading, 1)
	p := newReadPool(func(ctx context.Context, r *session.Reading) {
		if r.Near {
			answered <- r
			return
		}
		waiting.Add(1)
		<-ctx.Done()
	})
	defer p.stop()
	const far = 3 * farReaders
	for range far {
		if !p.later(new(session.Reading)) {
			t.Fatal("no room")
		}
	}
	eventually(t, "all readers of what is far wait", func() bool { return waiting.Load() == farReaders })
	near := &session.Reading{Near: true}
	if !p.later(near) {
		t.Fatal("no room")
	}
	if got := <-answered; got != near {
		t.Error("another question was answered")
	}
	if waiting.Load() != farReaders {
		t.Errorf("%d wait, want %d", waiting.Load(), farReaders)
	}
}
