package agent

import (
	"context"
	"errors"
	"time"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/beats"
	"github.com/godwit-im/godwit/backplane/cluster/control"
	"github.com/godwit-im/godwit/backplane/cluster/kafkalog"
)

// lead carries out what the controller's core decides, when this node is the controller,
// and takes the place when it is its turn. Its methods are called by the agent's
// goroutine.
type lead struct {
	// Static.
	a          *Agent
	core       *control.Core
	succession *beats.Succession

	session  *kafkalog.Session // nil while another node is the controller
	busy     bool              // the place is being taken, or a decision is on its way
	since    time.Time         // when what is on its way began
	fencedAt time.Time         // when this node lost the place to one that it does not know yet; zero if it did not
	due      bool              // a beat has said that it is this node's turn
}

// flag reports whether this node's beats say that it is the controller: it is, and is
// able to decide.
func (l *lead) flag(now time.Time) bool {
	return l.session != nil && !(l.busy && now.Sub(l.since) > flagTimeout)
}

// step takes the place, or makes the next decision, if there is one to make.
func (l *lead) step(now time.Time) {
	due := l.due
	l.due = false
	if l.busy {
		return
	}
	if l.session == nil {
		if due && l.waited(now) && !l.taken() && l.core.Snapshot().Understood() {
			l.take(now)
		}
		return
	}
	if !l.core.Leads() { // another node has taken the place, as the records say
		l.lost(now)
		return
	}
	if d, ok := l.core.Next(l.core.Watch().Now()); ok {
		l.commit(now, d)
	}
}

// taken reports whether another node has just taken the place, so that its beats do not
// show the flag yet.
func (l *lead) taken() bool {
	w := l.core.Watch()
	c, ok := l.core.Snapshot().Controller()
	return ok && c.Node != l.a.cfg.Node && w.Heard(c.Node) && w.Now()-c.Since < flagDelay
}

// waited reports whether this node may try again, after it was fenced.
func (l *lead) waited(now time.Time) bool {
	if l.fencedAt.IsZero() {
		return true
	}
	if c, ok := l.core.Snapshot().Controller(); ok && c.Node != l.a.cfg.Node {
		l.succession.Fenced(c.Node)
		l.fencedAt = time.Time{}
		return l.succession.Due(l.core.Watch())
	}
	if now.Sub(l.fencedAt) < fencedTimeout {
		return false // whoever did it is about to say so
	}
	l.fencedAt = time.Time{}
	return true
}

// take takes the place of the controller.
func (l *lead) take(now time.Time) {
	l.a.log.Info("agent: this node takes the place of the controller")
	l.begin(now)
	l.a.background(func(ctx context.Context) {
		session, err := l.a.records.Take(ctx)
		l.a.report(func() {
			l.busy = false
			if err != nil {
				l.a.log.Warn("agent: the place of the controller could not be taken", "err", err)
				return
			}
			// What was committed before has been read: it is in the inbox, which is looked at
			// before reports are.
			l.session = session
			l.core.Lead()
		})
	})
}

// commit writes a decision.
func (l *lead) commit(now time.Time, d control.Decision) {
	l.begin(now)
	records := make([]cluster.Record, len(d.Changes))
	for i, c := range d.Changes {
		records[i] = c.Record()
	}
	session := l.session
	l.a.background(func(ctx context.Context) {
		err := session.Commit(ctx, records)
		l.a.report(func() { l.committed(d, err) })
	})
}

func (l *lead) committed(d control.Decision, err error) {
	switch {
	case err == nil:
		l.busy = false
		l.a.decided(d.Entry)
	case errors.Is(err, kafkalog.ErrFenced):
		l.busy = false
		l.lost(time.Now())
	default:
		l.a.log.Warn("agent: a decision could not be written", "version", d.Version, "decision", d.Entry.String(), "err", err)
		l.settle()
	}
}

// settle finds out what became of a decision, for as long as that takes. What was
// committed is read, and what is still to be decided follows from what was read.
func (l *lead) settle() {
	session := l.session
	l.a.background(func(ctx context.Context) {
		err := session.Settle(ctx)
		for err != nil && !errors.Is(err, kafkalog.ErrFenced) && pause(ctx, retryPause) {
			err = session.Settle(ctx)
		}
		l.a.report(func() {
			l.busy = false
			if err != nil {
				l.lost(time.Now())
				return
			}
			l.core.Lead()
		})
	})
}

func (l *lead) begin(now time.Time) { l.busy, l.since = true, now }

// lost steps down.
func (l *lead) lost(now time.Time) {
	l.a.log.Info("agent: another node is the controller")
	l.core.Yield()
	session := l.session
	l.session, l.fencedAt = nil, now
	l.a.background(func(context.Context) { session.Close() })
}

// pause waits, and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
