package agent

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/beats"
	"github.com/godwit-im/godwit/backplane/cluster/control"
	"github.com/godwit-im/godwit/backplane/cluster/kafkalog"
)

// session is the right to write decisions. kafkalog.Session is one, and has the contract.
type session interface {
	Commit(ctx context.Context, records []cluster.Record) error
	Settle(ctx context.Context) error
	Close()
}

// lead carries out what the controller's core decides, when this node is the controller,
// and takes the place when it is its turn. Its methods are called by the agent's
// goroutine.
type lead struct {
	// Static.
	node    string
	core    *control.Core
	open    func(context.Context) (session, error) // takes the place away from whoever has it
	alarm   func() error                           // what makes the records not to be trusted; any goroutine may call it
	start   func(func(context.Context))            // runs a function on a goroutine of its own
	report  func(func()) bool                      // has the agent's goroutine run a function
	decided func(control.Entry)
	log     *slog.Logger

	session session // nil while another node is the controller
	busy    bool    // the place is being taken, or a decision is on its way
	due     bool    // a beat has said that it is this node's turn

	// Of the time in which this node is the controller.
	version uint64    // that the latest decision makes
	since   time.Time // when the first decision was made that was not read since; zero if all were

	// Of the time in which it is not.
	patient time.Time // until when this node does not try again
	outdone string    // the node whose map is later than the records that this node has read; "" for none
}

// flag reports whether this node's beats say that it is the controller: it is, and is
// able to decide.
func (l *lead) flag(now time.Time) bool { return l.session != nil && l.able(now) }

// able reports whether decisions have been made, as far as anybody can tell by now.
func (l *lead) able(now time.Time) bool { return l.since.IsZero() || now.Sub(l.since) <= flagTimeout }

// step takes the place, or makes the next decision, if there is one to make.
func (l *lead) step(now time.Time) {
	due := l.due
	l.due = false
	if l.core.Snapshot().Version() >= l.version {
		l.since = time.Time{}
	}
	switch {
	case l.busy:
	case l.session == nil:
		if due && l.free(now) && l.alarm() == nil && l.core.Snapshot().Understood() && l.current() {
			l.take()
		}
	case l.alarm() != nil:
		l.log.Warn("agent: this node is not the controller any more: it cannot trust the records")
		l.end()
	case !l.core.Leads(): // another node has taken the place, as the records say
		l.lose(now)
	case !l.able(now):
		// What was committed is not read, or what is to be committed cannot be. To take the
		// place again, by this node or another, makes an end of both: that goes by what is
		// to be read by then.
		l.log.Warn("agent: this node is not the controller any more: its decisions do not reach the records", "version", l.version)
		l.end()
	default:
		if d, ok := l.core.Next(l.core.Watch().Now()); ok {
			l.commit(now, d)
		}
	}
}

// free reports whether nothing speaks against taking the place, now that the flag is
// missing.
func (l *lead) free(now time.Time) bool {
	w := l.core.Watch()
	if now.Before(l.patient) || !w.Due(l.node) {
		return false
	}
	// Another node may have just taken the place, so that its beats do not show the flag yet.
	c, ok := l.core.Snapshot().Controller()
	return !ok || c.Node == l.node || !w.Heard(c.Node) || w.Now()-c.Since >= flagDelay
}

// ahead returns a node that is there and goes by a later map than the records that this
// node has read make.
func (l *lead) ahead() (beats.Seen, bool) {
	for _, seen := range l.core.Watch().Nodes() {
		if !seen.Suspected && seen.Version > l.core.Snapshot().Version() {
			return seen, true
		}
	}
	return beats.Seen{}, false
}

// current reports whether this node has read all that the others go by. One that has not
// is behind, or these are other records: the topic was made anew while the others run on
// with what it had before, and a cluster that begins beside theirs would send their clients
// elsewhere.
func (l *lead) current() bool {
	seen, ok := l.ahead()
	if ok && l.outdone != seen.Node {
		l.log.Warn("agent: this node does not take the place of the controller: another one goes by a later map than it has read",
			"node", seen.Node, "its_version", seen.Version, "version", l.core.Snapshot().Version())
	}
	l.outdone = seen.Node
	return !ok
}

// take takes the place of the controller.
func (l *lead) take() {
	l.log.Info("agent: this node takes the place of the controller")
	l.busy = true
	l.start(func(ctx context.Context) {
		session, err := l.open(ctx)
		if !l.report(func() { l.taken(session, err) }) && err == nil {
			session.Close()
		}
	})
}

func (l *lead) taken(session session, err error) {
	l.busy = false
	if err != nil {
		l.log.Warn("agent: the place of the controller could not be taken", "err", err)
		l.patient = time.Now().Add(takePause)
		return
	}
	// What was committed before has been read: it is in the inbox, which is looked at
	// before reports are.
	l.session, l.version, l.since = session, 0, time.Time{}
	l.core.Lead()
}

// commit writes a decision.
func (l *lead) commit(now time.Time, d control.Decision) {
	l.busy, l.version = true, d.Version
	if l.since.IsZero() {
		l.since = now
	}
	records := make([]cluster.Record, len(d.Changes))
	for i, c := range d.Changes {
		records[i] = c.Record()
	}
	session := l.session
	l.start(func(ctx context.Context) {
		err := session.Commit(ctx, records)
		l.report(func() { l.committed(d, err) })
	})
}

func (l *lead) committed(d control.Decision, err error) {
	switch {
	case err == nil:
		l.busy = false
		l.decided(d.Entry)
	case errors.Is(err, kafkalog.ErrFenced):
		l.busy = false
		l.lose(time.Now())
	default:
		l.log.Warn("agent: a decision could not be written", "version", d.Version, "decision", d.Entry.String(), "err", err)
		l.settle()
	}
}

// settle finds out what became of a decision, for as long as that takes. What was
// committed is read, and what is still to be decided follows from what was read. It
// begins with a pause, for a decision that cannot be written is made again and again.
func (l *lead) settle() {
	session := l.session
	l.start(func(ctx context.Context) {
		err := errUnsettled
		for err != nil && !errors.Is(err, kafkalog.ErrFenced) && l.alarm() == nil && pause(ctx, retryPause) {
			err = session.Settle(ctx)
		}
		l.report(func() {
			l.busy = false
			switch {
			case err == nil:
				l.core.Lead()
			case errors.Is(err, kafkalog.ErrFenced):
				l.lose(time.Now())
			} // else there is an alarm, which the next step sees
		})
	})
}

var errUnsettled = errors.New("agent: nobody knows yet")

// lose steps down for another node, and leaves it the time to say so in its beats.
func (l *lead) lose(now time.Time) {
	l.log.Info("agent: another node is the controller")
	l.patient = now.Add(fencedTimeout)
	l.end()
}

// end steps down.
func (l *lead) end() {
	l.core.Yield()
	session := l.session
	l.session = nil
	l.start(func(context.Context) { session.Close() })
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
