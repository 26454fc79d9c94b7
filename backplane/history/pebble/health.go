package pebble

import (
	"fmt"
	"sync"

	"github.com/godwit-im/godwit/backplane/history"
)

// health knows what keeps the store from being written. Any goroutine may call its
// methods.
type health struct {
	mu sync.Mutex
	healthState
}

// healthState is what health.mu guards.
type healthState struct {
	failed error         // for good, so that Pebble must not be called any more
	broken error         // what is damaged; the rest can be read
	stuck  int           // operations of the disk that are tried again
	cause  error         // why the last of them failed
	bell   chan struct{} // closed while there is trouble
	rung   bool          // whether bell is closed
}

func newHealth() *health { return &health{healthState: healthState{bell: make(chan struct{})}} }

// stall takes note of an operation that the disk refused.
func (h *health) stall(cause error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stuck++
	h.cause = cause
	h.ring()
}

// resume takes note that the disk has taken it.
func (h *health) resume() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stuck--
	if h.stuck == 0 && h.failed == nil && h.rung {
		h.bell, h.rung = make(chan struct{}), false
	}
}

// fail ends the use of the store until it is opened again. The first reason counts.
func (h *health) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failed == nil {
		h.failed = err
		h.ring()
	}
}

func (h *healthState) ring() {
	if !h.rung {
		close(h.bell)
		h.rung = true
	}
}

// damage takes note that files are damaged. It reports whether that is news.
func (h *health) damage(err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	news := h.broken == nil
	if news {
		h.broken = err
	}
	return news
}

// usable returns a channel that is closed when trouble begins, or why Pebble does not
// finish what it is asked to do now.
func (h *health) usable() (trouble <-chan struct{}, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rung {
		return nil, h.why()
	}
	return h.bell, nil
}

// writable is usable for what is to be written.
func (h *health) writable() (trouble <-chan struct{}, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rung {
		return nil, h.why()
	}
	return h.bell, h.broken
}

// reason returns why the bell rang.
func (h *health) reason() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.why()
}

func (h *healthState) why() error {
	if h.failed != nil {
		return h.failed
	}
	return fmt.Errorf("pebble: history waits for the disk: %w", h.cause)
}

// readable returns why the store cannot even be read.
func (h *health) readable() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failed
}

// corrupt wraps what was found to be damaged.
func corrupt(dir string, err error) error {
	return fmt.Errorf("%w: %s: %w; `godwit history rebuild` makes it anew from the log", history.ErrCorrupt, dir, err)
}
