package workload

import (
	"context"
	"sync"
	"time"

	"github.com/godwit-im/godwit/tools/verify/wire"
)

// gate lets a program read as slowly as it was told. One goroutine passes it; any may
// change its pace.
type gate struct {
	mu      sync.Mutex
	pace    int           // as wire.Conn.SetPace has it
	changed chan struct{} // closed when the pace changes
}

func newGate() *gate { return &gate{pace: wire.FullPace, changed: make(chan struct{})} }

func (g *gate) set(pace int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pace = pace
	close(g.changed)
	g.changed = make(chan struct{})
}

// pass returns when so many bytes may be read, or ctx has ended.
func (g *gate) pass(ctx context.Context, bytes int) {
	for {
		g.mu.Lock()
		pace, changed := g.pace, g.changed
		g.mu.Unlock()
		var over <-chan time.Time // never
		switch {
		case pace < 0:
			return
		case pace > 0:
			over = time.After(time.Duration(bytes) * time.Second / time.Duration(pace))
		}
		select {
		case <-over:
			return
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
