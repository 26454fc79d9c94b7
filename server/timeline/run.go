package timeline

import (
	"context"
	"math"
	"time"
)

// run fills the window as its readers want it, until nobody has wanted anything for a
// while.
func (w *window) run() {
	ctx := w.windows.service.ctx
	for ctx.Err() == nil {
		if w.wanted() {
			w.work(ctx)
		} else if w.idle(ctx) && w.windows.close(w) {
			return
		}
	}
	w.windows.close(w)
}

// wanted reports whether there is something to read.
func (w *window) wanted() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.records == nil {
		w.scan = scan{failing: w.scan.failing}
	}
	d := w.demand()
	return d.ahead != math.MaxInt64 || d.below != math.MaxInt64
}

// idle waits for the bell, and reports true if it was silent for windowIdle.
func (w *window) idle(ctx context.Context) bool { return !w.listen(ctx, windowIdle) }

// listen waits for the bell, and reports false if it was not rung in time.
func (w *window) listen(ctx context.Context, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-w.bell:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// work waits for its turn to read the log, and takes it.
func (w *window) work(ctx context.Context) {
	ws := w.windows
	if ws.takeTurn(ctx) != nil {
		return
	}
	w.read(true)
	moved, err := w.turn(ctx)
	w.read(false)
	ws.giveTurn()

	log := ws.service.cfg.Log.With("partition", w.partition)
	switch failed := err != nil && ctx.Err() == nil; {
	case failed && !w.scan.failing:
		log.Warn("cannot read the log for those who missed something; trying again", "err", err)
	case !failed && w.scan.failing:
		log.Info("reading the log for those who missed something again")
	}
	w.scan.failing = err != nil
	w.tell(err)
	if err != nil || !moved {
		select {
		case <-time.After(scanPause):
		case <-ctx.Done():
		}
	}
}

// read notes whether the window reads the log. While it does, it is not emptied.
func (w *window) read(reading bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reading = reading
}

// turn reads on, or begins where the readers are. It reports false if the log has nothing
// for them at present.
func (w *window) turn(ctx context.Context) (moved bool, err error) {
	s, service := &w.scan, w.windows.service
	b, err := service.bounds[w.partition].get(ctx, 0)
	if err != nil {
		return false, err
	}
	next, at := w.aim()
	if next == readOn && b.first > s.next {
		next, at = beginAnew, s.next-1 // the log has lost what comes next
	}
	switch {
	case next == rest:
		return true, nil
	case next == beginAnew && at+1 >= max(b.first, b.end):
		return false, nil
	case next == beginAnew:
		if err := w.begin(ctx, at, b); err != nil {
			return false, err
		}
	case s.next >= b.end:
		return false, nil
	}
	if err := w.fill(ctx, b.end); err != nil {
		// If the log lost what was to be read, the next turn begins behind that.
		if b, again := service.bounds[w.partition].get(ctx, 0); again != nil || b.first <= s.next {
			return false, err
		}
	}
	return true, nil
}

// aim is what a window does next.
type aim uint8

const (
	rest aim = iota
	readOn
	beginAnew
)

// aim returns what to do next, and for which position to begin anew.
func (w *window) aim() (next aim, at int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.records == nil {
		w.scan = scan{failing: w.scan.failing}
	}
	switch d := w.demand(); {
	case w.scan.narrow && d.requests > 0:
		return beginAnew, d.lowest
	case d.ahead == math.MaxInt64 && d.below == math.MaxInt64:
		return rest, 0
	case d.ahead == math.MaxInt64:
		return beginAnew, d.below
	case d.far:
		return beginAnew, d.ahead
	}
	return readOn, 0
}
