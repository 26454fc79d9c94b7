package timeline

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
)

// windows are the windows of all partitions that are read from the log at present.
//
// Locks are taken in this order: windows.mu, window.mu, the lock of a tail.Tail.
type windows struct {
	// Static.
	service *Service
	share   int64         // the bytes that one may take
	turns   chan struct{} // has a value for each that reads the log: a window, or a look for erasures

	queued atomic.Int32 // how many wait for a turn

	mu sync.Mutex
	windowsState
}

// windowsState is what windows.mu guards.
type windowsState struct {
	open  map[backplane.Partition]*window
	total int64 // the sum of their bytes
}

func (ws *windows) init(s *Service) {
	ws.service = s
	ws.share = s.cfg.ScanBytes / scans
	ws.turns = make(chan struct{}, scans)
	ws.open = make(map[backplane.Partition]*window)
}

// takeTurn waits until the caller may read the log; giveTurn lets others.
func (ws *windows) takeTurn(ctx context.Context) error {
	ws.queued.Add(1)
	defer ws.queued.Add(-1)
	select {
	case ws.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (ws *windows) giveTurn() { <-ws.turns }

// forward waits until the window of q's partition can tell something of what
// follows q.After: entries, or that it is gone, or that there is nothing up to where
// enough says that somebody else takes over.
func (ws *windows) forward(ctx context.Context, q *history.Query, enough func(after int64) bool) (step, error) {
	w, r := ws.join(q.Partition, request{after: q.After})
	defer w.leave(r)
	from := q.After
	at := *q
	for {
		v := w.look(r)
		if at.After < v.lost {
			return step{upto: v.lost, gone: true}, nil
		}
		if v.records != nil {
			page, floor, end := v.records.Read(&at)
			if at.After >= floor && at.After < end {
				if len(page.Entries) > 0 {
					return found(page, end), nil
				}
				at.After = end
				w.advance(r, end)
			}
		}
		switch {
		case enough(at.After) || v.err != nil && at.After > from:
			return step{upto: at.After}, nil
		case v.err != nil:
			return step{}, v.err
		}
		select {
		case <-v.changed:
		case <-ctx.Done():
			if at.After > from {
				return step{upto: at.After}, nil
			}
			return step{}, ws.service.fail(LogUnavailable, context.Cause(ctx))
		}
	}
}

// backward reads q, whose bounds it narrows to what follows after up to and including
// upto, when the window has all of that. lost is -1, or the offset in that range up to which
// some may be gone. If it is not to wait, it returns ErrHistoryBehind where the window
// would have to be filled first.
func (ws *windows) backward(ctx context.Context, q history.Query, after, upto int64, wait bool) (page history.Page, lost int64, err error) {
	lost = -1
	if upto-after > ws.share/recordBytes || !wait && !ws.covers(q.Partition, after, upto) {
		return page, lost, ErrHistoryBehind
	}
	w, r := ws.join(q.Partition, request{after: after, upto: upto, span: true})
	defer w.leave(r)
	q.After, q.Before = max(q.After, after), min(q.Before, upto+1)
	for {
		v := w.look(r)
		if v.err != nil {
			return history.Page{}, lost, v.err
		}
		switch {
		case v.lost >= upto:
			return history.Page{}, upto, nil
		case v.lost > after:
			after, lost = v.lost, v.lost
			w.advance(r, after)
		}
		if v.records != nil {
			if page, floor, end := v.records.Read(&q); floor <= after && end >= upto {
				return page, lost, nil
			}
		}
		select {
		case <-v.changed:
		case <-ctx.Done():
			return history.Page{}, lost, ws.service.fail(HistoryBehind, context.Cause(ctx))
		}
	}
}

// covers reports whether the window of a partition has what follows after up to upto.
func (ws *windows) covers(p backplane.Partition, after, upto int64) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w := ws.open[p]
	if w == nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.records != nil && w.records.Floor() <= after && w.records.End() >= upto
}

// join enters a request at the window of a partition, which is opened if it is not
// there.
func (ws *windows) join(p backplane.Partition, r request) (*window, *request) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w := ws.open[p]
	if w == nil {
		w = newWindow(ws, p)
		if !ws.service.start(w.run) {
			r.err = ErrClosed
			return w, &r
		}
		ws.open[p] = w
		ws.service.counters.Windows.Add(1)
	}
	w.enter(&r)
	return w, &r
}

// close takes a window away that nobody uses; it reports false if somebody does.
func (ws *windows) close(w *window) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.requests) > 0 && ws.service.ctx.Err() == nil {
		return false
	}
	delete(ws.open, w.partition)
	ws.count(w, 0)
	ws.service.counters.Windows.Add(-1)
	return true
}

// count notes what a window takes, in bytes. ws.mu is held.
func (ws *windows) count(w *window, bytes int64) {
	ws.total += bytes - w.bytes
	w.bytes = bytes
	ws.service.counters.Bytes.Store(ws.total)
}

// account notes what a window that reads takes. If that is too much for all of them
// together, windows that do not read are emptied, those first that were used longest
// ago. Those that read never take too much by themselves.
func (ws *windows) account(w *window, bytes int64) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.count(w, bytes)
	for ws.total > ws.service.cfg.ScanBytes {
		var oldest *window
		var used time.Time
		for _, other := range ws.open {
			if other.bytes == 0 {
				continue
			}
			if at, reads := other.lastUse(); !reads && (oldest == nil || at.Before(used)) {
				oldest, used = other, at
			}
		}
		if oldest == nil || !oldest.empty() {
			return
		}
		ws.count(oldest, 0)
		ws.service.counters.Emptied.Add(1)
	}
}
