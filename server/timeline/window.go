package timeline

import (
	"math"
	"sync"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/server/tail"
)

// window is a stretch of a partition's log in memory, and those who wait for it to come
// to what they want.
type window struct {
	// Static.
	windows   *windows
	partition backplane.Partition
	bell      chan struct{} // rung for run; of capacity 1

	// Guarded by windows.mu.
	bytes int64

	// Owned by run; see scan.go.
	scan scan

	mu sync.Mutex
	windowState
}

// windowState is what window.mu guards.
type windowState struct {
	// records is what the window has; nil if it has nothing.
	records *tail.Tail
	// start is the position for which it was begun: everything after it is served, unless
	// the log does not have enough.
	start int64
	// lost is the offset up to which the log has nothing any more that could be told
	// from duplicates; -1 if nothing is known to be lost.
	lost     int64
	reading  bool // run reads the log
	requests map[*request]struct{}
	used     time.Time     // when the last request came or left
	changed  chan struct{} // closed when what requests wait for has changed
}

// request is a reader who waits. Its fields are guarded by window.mu.
type request struct {
	// after is the position after which it wants something.
	after int64
	// span is whether it wants everything after that up to upto, at once.
	span bool
	upto int64
	err  error // why it waits in vain
}

func newWindow(ws *windows, p backplane.Partition) *window {
	return &window{
		windows: ws, partition: p, bell: make(chan struct{}, 1),
		windowState: windowState{
			lost: -1, used: time.Now(),
			requests: make(map[*request]struct{}),
			changed:  make(chan struct{}),
		},
	}
}

// view is what a reader sees of a window.
type view struct {
	records *tail.Tail
	lost    int64
	changed <-chan struct{}
	err     error
}

// look returns what there is for a request. changed is closed when that is no longer
// all: a reader that finds nothing in the view waits for it and looks again.
func (w *window) look(r *request) view {
	w.mu.Lock()
	defer w.mu.Unlock()
	return view{records: w.records, lost: w.lost, changed: w.changed, err: r.err}
}

// enter adds a request.
func (w *window) enter(r *request) {
	w.mu.Lock()
	w.requests[r] = struct{}{}
	w.used = time.Now()
	w.mu.Unlock()
	w.ring()
}

// leave takes a request away.
func (w *window) leave(r *request) {
	w.mu.Lock()
	delete(w.requests, r)
	w.used = time.Now()
	w.mu.Unlock()
	w.ring()
}

// advance tells that a request has what stands up to an offset.
func (w *window) advance(r *request, after int64) {
	w.mu.Lock()
	r.after = after
	w.mu.Unlock()
	w.ring()
}

// ring wakes run.
func (w *window) ring() {
	select {
	case w.bell <- struct{}{}:
	default:
	}
}

// lastUse returns when the window was used last, and whether it reads the log.
func (w *window) lastUse() (at time.Time, reads bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.used, w.reading
}

// empty gives up what the window has, unless it reads the log. windows.mu is held.
func (w *window) empty() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.reading {
		return false
	}
	w.clear()
	w.ring() // what run has goes as well
	return true
}

// clear gives up what the window has. w.mu is held.
func (w *window) clear() {
	w.records, w.lost = nil, -1
	w.wake()
}

// wake makes every reader look again. w.mu is held.
func (w *window) wake() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// demand is what the requests at a window want of it.
type demand struct {
	requests int
	// lowest is the lowest position of all, math.MaxInt64 if there are none.
	lowest int64
	// ahead and below are the lowest positions of those who want what the window has not
	// come to yet, and of those who want what it has given up or begun after; math.MaxInt64
	// if there are none.
	ahead, below int64
	// far is whether those ahead are so far ahead that reading on is not worth it.
	far bool
	// served is how many are about to take what is there, or to learn that it is lost.
	served int
}

// demand looks at all requests. w.mu is held.
func (w *window) demand() demand {
	d := demand{requests: len(w.requests), lowest: math.MaxInt64, ahead: math.MaxInt64, below: math.MaxInt64}
	floor, end := int64(math.MaxInt64), int64(math.MaxInt64)
	if w.records != nil {
		floor, end = w.records.Floor(), w.records.End()
	}
	for r := range w.requests {
		d.lowest = min(d.lowest, r.after)
		switch {
		case r.err != nil || r.after < w.lost:
			d.served++
		case r.after < floor:
			d.below = min(d.below, r.after)
		case r.span && r.upto > end:
			d.ahead = min(d.ahead, end)
		case !r.span && r.after >= end:
			d.ahead = min(d.ahead, r.after)
		default:
			d.served++
		}
	}
	d.far = d.ahead != math.MaxInt64 && d.ahead-end > windowJump
	return d
}
