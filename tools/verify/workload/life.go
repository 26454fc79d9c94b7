package workload

import (
	"context"
	"fmt"
	"time"

	"github.com/godwit-im/godwit/tools/verify/wire"
)

// life is what a device does beside sending and reading: its misdeeds until the load is
// steady, and at all times what it has to do. One goroutine owns it.
type life struct {
	*device
	habit     habit
	patience  func() time.Duration // for how long a gap stays open
	refreshAt time.Time            // zero: never
	fetchAt   time.Time            // when to fetch what a gap has told of; zero: there is none
}

// live leads the life of the device until ctx ends.
func (d *device) live(ctx context.Context) {
	r := d.load.people.rand("gaps", d.user, d.number)
	l := &life{
		device: d,
		habit: habit{
			rand: d.load.people.rand("deeds", d.user, d.number), users: len(d.load.people.names), popular: d.user < d.load.people.popular,
		},
		patience: func() time.Duration { return upTo(r, 8*time.Second) },
	}
	if d.character.short {
		l.refreshAt = time.Now().Add(shortToken / 2)
	}
	l.rest(ctx, 0, d.load.sending, true)
	for ctx.Err() == nil {
		if d.load.isSteady() {
			l.rest(ctx, 0, nil, true)
			continue
		}
		next := l.habit.next()
		if l.rest(ctx, next.after, d.load.steady, true) {
			l.do(ctx, &next)
		}
	}
}

// rest waits: for some time, if that is not 0, or until done is closed. Meanwhile it does what
// the device has to do; what takes time, it does only if it is free. It reports whether the
// time is over.
func (l *life) rest(ctx context.Context, d time.Duration, done <-chan struct{}, free bool) bool {
	var over <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	duties := time.NewTicker(tick / 2)
	defer duties.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-done:
			return false
		case <-over:
			return true
		case <-l.beats:
			// What comes next is what a wrong cursor would leave out.
			if free && !l.load.isSteady() {
				l.do(ctx, &deed{what: leave, lasts: nap})
			}
		case <-l.gaps:
			if l.fetchAt.IsZero() {
				l.fetchAt = time.Now().Add(l.patience())
			}
		case now := <-duties.C:
			l.duties(ctx, now, free)
		}
	}
}

// duties does what is due: while the device is not free, only what takes no time.
func (l *life) duties(ctx context.Context, now time.Time, free bool) {
	steady := l.load.isSteady()
	if !l.refreshAt.IsZero() && now.After(l.refreshAt) && (steady || !l.character.careless) {
		l.refreshAt = now.Add(shortToken / 2)
		l.link.refresh()
	}
	if free && !l.fetchAt.IsZero() && (steady || now.After(l.fetchAt)) {
		l.fetchAt = time.Time{}
		if !l.link.catchUp(ctx) {
			l.fetchAt = now.Add(tick)
		}
	}
}

// do does a deed.
func (l *life) do(ctx context.Context, d *deed) {
	c := &l.load.tally.counts.Conduct
	did := func(n *int64) { l.load.tally.count(func(*Counts) { *n++ }) }
	steady := l.load.steady
	switch d.what {
	case dawdle:
		did(&c.Slow)
		l.link.setPace(d.pace)
		l.rest(ctx, d.lasts, steady, false)
		l.link.setPace(wire.FullPace)
	case ignore:
		did(&c.Deaf)
		l.link.setPace(wire.NoPace)
		l.rest(ctx, d.lasts, steady, false)
		l.link.setPace(wire.FullPace)
	case cut:
		did(&c.Cuts)
		l.link.cut()
	case leave:
		did(&c.Absences)
		l.link.leave(d.abrupt)
		l.rest(ctx, d.lasts, steady, false)
		l.link.come(resumption{})
	case goBack:
		l.link.leave(d.abrupt)
		l.link.come(resumption{steps: d.steps})
	case forget:
		l.link.leave(d.abrupt)
		l.link.come(resumption{anew: true, newest: d.newest})
	case browse:
		did(&c.Browses)
		l.browse(ctx, d.browse)
	}
}

// browse reads a page or two.
func (l *life) browse(ctx context.Context, b browsing) {
	h := wire.History{Limit: b.limit}
	if b.peer >= 0 && b.peer != l.user {
		h.Peer = l.load.people.names[b.peer]
	}
	at := l.link.cursor(b.steps)
	switch b.way {
	case 1:
		h.Before = at
	case 2:
		h.After = at
	case 3:
		h.Around = at
	}
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	p, err := l.link.history(ctx, h, false)
	if err != nil || p.code != "" || !b.onward {
		return
	}
	onward := wire.History{Limit: b.limit, Peer: h.Peer}
	if h.After != "" {
		onward.After = p.after
	} else {
		onward.Before = p.before
	}
	_, _ = l.link.history(ctx, onward, false) // what came of it is written
}

// readTimeline reads the whole timeline of the user, for the reading at the end.
func (d *device) readTimeline(ctx context.Context) error {
	h := wire.History{Limit: pageSize}
	for {
		p, err := d.link.history(ctx, h, true)
		switch {
		case err != nil && ctx.Err() != nil:
			return fmt.Errorf("workload: reading the history of %s: %w", d.by, err)
		case err != nil:
			sleep(ctx, poll)
		case p.code == "no_history":
			return ErrNoHistory
		case p.code == "history_unavailable" || p.code == "history_behind" || p.code == "overloaded" || p.code == "rate_limited":
			sleep(ctx, 10*poll)
		case p.code != "":
			return fmt.Errorf("workload: reading the history of %s: refused: %s", d.by, p.code)
		case !p.moreBefore:
			return nil
		default:
			h.Before = p.before
		}
	}
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
