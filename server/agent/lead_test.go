package agent

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/beats"
	"github.com/godwit-im/godwit/backplane/cluster/control"
	"github.com/godwit-im/godwit/backplane/cluster/kafkalog"
)

// office is the place of the controller as one node has it, with a log in memory. It
// lives in a bubble, whose time is log time.
type office struct {
	*lead
	t        *testing.T
	reports  chan func()
	beating  map[string]uint64 // the nodes that beat besides self, and how often they did
	flagged  string            // which of them has the flag
	theirs   uint64            // the map that they go by
	own      uint64            // beats of self
	trail    []control.Entry
	answered map[string]bool // the requests that have a result

	mu       sync.Mutex
	written  []cluster.Change // guarded by mu: committed, and not read yet
	commits  int              // guarded by mu: attempts
	opened   int              // guarded by mu: sessions that were asked for
	sessions int              // guarded by mu: that are open
	answers  answers          // guarded by mu
}

// answers are what the log says.
type answers struct {
	open, commit, settle, alarm error
	unread                      bool // nothing is read
	lost                        bool // what is committed is not
}

// newOffice returns the office of a node that beats, as the others do; none has the flag.
func newOffice(ctx context.Context, t *testing.T, others []string) *office {
	o := &office{t: t, reports: make(chan func()), beating: make(map[string]uint64), answered: make(map[string]bool)}
	for _, name := range others {
		o.beating[name] = 0
	}
	o.lead = &lead{
		node: self, log: quiet,
		core:    control.New(control.Config{Node: self, Settings: cluster.Settings{Partitions: 2, Generation: 1, Live: cluster.DefaultLive()}}),
		alarm:   func() error { return o.answer().alarm },
		decided: func(e control.Entry) { o.trail = append(o.trail, e) },
		start:   func(f func(context.Context)) { go f(ctx) },
		report: func(f func()) bool {
			select {
			case o.reports <- f:
				return true
			case <-ctx.Done():
				return false
			}
		},
		open: func(context.Context) (session, error) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.opened++
			if o.answers.open != nil {
				return nil, o.answers.open
			}
			o.sessions++
			return o, nil
		},
	}
	return o
}

// Commit, Settle and Close are those of the session.
func (o *office) Commit(_ context.Context, records []cluster.Record) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.commits++
	if o.answers.commit != nil {
		return o.answers.commit
	}
	if o.answers.lost {
		return nil
	}
	for _, r := range records {
		o.written = append(o.written, cluster.Parse(r))
	}
	return nil
}

func (o *office) Settle(context.Context) error { return o.answer().settle }

func (o *office) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sessions--
}

// set sets what the log answers from now on.
func (o *office) set(a answers) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answers = a
}

func (o *office) answer() answers {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.answers
}

// asked returns how many sessions were asked for, and how many are open.
func (o *office) asked() (opened, open int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.opened, o.sessions
}

// attempts returns how often the node tried to commit.
func (o *office) attempts() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.commits
}

// run lets time pass: everybody beats every half second, and the agent's goroutine turns.
func (o *office) run(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		for name := range o.beating {
			o.beating[name]++
			o.hear(beats.Beat{Node: name, Incarnation: 1, N: o.beating[name], Version: o.theirs, Controller: name == o.flagged})
		}
		o.own++
		o.hear(beats.Beat{Node: self, Incarnation: 1, N: o.own, Controller: o.flag(time.Now())})
		for range beats.Interval / 100 {
			o.turn()
			time.Sleep(100 * time.Millisecond)
		}
	}
}

func (o *office) hear(b beats.Beat) {
	o.core.Beat(b, time.Now().UnixMilli())
	if o.core.Watch().Due(self) {
		o.due = true
	}
}

// turn is what the agent's goroutine does until nothing is left to do.
func (o *office) turn() {
	for {
		more := o.read()
		o.step(time.Now())
		synctest.Wait()
		select {
		case f := <-o.reports:
			o.read()
			f()
		default:
			if !more {
				return
			}
		}
	}
}

// read reads what was written, and reports whether there was anything.
func (o *office) read() bool {
	o.mu.Lock()
	var written []cluster.Change
	if !o.answers.unread {
		written, o.written = o.written, nil
	}
	o.mu.Unlock()
	o.core.Apply(written...)
	for _, c := range written {
		if r, ok := c.Body.(cluster.Result); ok {
			o.answered[r.ID] = true
		}
	}
	return len(written) > 0
}

// request has somebody ask for something.
func (o *office) request(id string) {
	o.core.Apply(cluster.Put(cluster.Request{ID: id, Kind: cluster.KindRebalance}))
}

// takenBy has another node take the place: its record is read.
func (o *office) takenBy(node string) {
	c, _ := o.core.Snapshot().Controller()
	c.Node, c.Epoch, c.Version, c.Since = node, c.Epoch+1, c.Version+1, time.Now().UnixMilli()
	o.core.Apply(cluster.Put(c))
	o.flagged = node
}

// want checks whether the node is the controller, and how often it has tried to be.
func (o *office) want(leads bool, tries int) {
	o.t.Helper()
	if got := o.flag(time.Now()); got != leads {
		o.t.Fatalf("the flag is %v, want %v", got, leads)
	}
	opened, open := o.asked()
	if opened != tries {
		o.t.Fatalf("%d sessions were asked for, want %d", opened, tries)
	}
	if mine := o.session != nil; mine && open != 1 || !mine && open != 0 {
		o.t.Fatalf("%d sessions are open, and the node has one: %v", open, mine)
	}
}

// inBubble runs a test of a node among others.
func inBubble(t *testing.T, others []string, f func(o *office)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer cancel()
		f(newOffice(ctx, t, others))
	})
}

// inOffice runs a test of a node that has become the controller.
func inOffice(t *testing.T, others []string, f func(o *office)) {
	inBubble(t, others, func(o *office) {
		o.run(5 * time.Second)
		o.want(true, 1)
		f(o)
	})
}

func TestFirstController(t *testing.T) {
	inOffice(t, nil, func(o *office) {
		if len(o.trail) < 2 || o.trail[0].Kind != control.KindTake || o.trail[1].Kind != control.KindBegin {
			t.Errorf("decided %v", o.trail)
		}
	})
}

// TestFlag: a controller that cannot commit gives the flag away, until it can again.
func TestFlag(t *testing.T) {
	inOffice(t, nil, func(o *office) {
		o.set(answers{commit: errTest, settle: errTest})
		o.request("a")
		o.run(flagTimeout - time.Second)
		o.want(true, 1)
		o.run(2 * time.Second)
		o.want(false, 1)
		o.set(answers{})
		o.run(5 * time.Second)
		o.want(true, 2)
	})
}

// TestDecisionThatIsNotMade: a controller whose decisions do not come to be read, or which
// nobody would take, makes place, and begins anew if nobody else does. What fails is not
// tried all the time.
func TestDecisionThatIsNotMade(t *testing.T) {
	for _, ill := range []answers{
		{commit: errTest, open: errTest},
		{unread: true, open: errTest},
		{lost: true, open: errTest}, // the brokers say it is made, and it is not
	} {
		inOffice(t, nil, func(o *office) {
			o.set(ill)
			before := o.attempts()
			o.request("a")
			o.run(flagTimeout - time.Second)
			o.want(true, 1)
			o.run(2 * time.Second)
			if n := o.attempts() - before; n < 1 || n > int(5*time.Second/retryPause)+1 {
				t.Errorf("%d attempts in 5 s", n)
			}
			opened, open := o.asked()
			if open != 0 {
				t.Error("it still has the place")
			}
			o.want(false, opened)
			o.set(answers{})
			o.run(10 * time.Second)
			o.want(true, opened+1)
			if !o.answered["a"] {
				t.Error("the request has no answer")
			}
		})
	}
}

// TestFenced: a controller that was fenced leaves the place to who did it, for as long as
// that one says that it has it. If it does not, the place is this node's again.
func TestFenced(t *testing.T) {
	for _, flagged := range []string{"n2", ""} {
		inOffice(t, []string{"n2"}, func(o *office) {
			o.set(answers{commit: kafkalog.ErrFenced})
			o.request("a")
			o.run(time.Second)
			o.set(answers{})
			o.takenBy("n2")
			o.flagged = flagged
			o.run(fencedTimeout - time.Second)
			o.want(false, 1)
			if flagged != "" {
				o.run(time.Minute)
				o.want(false, 1)
				o.flagged = "" // it cannot commit, and stays silent about it
			}
			o.run(3 * time.Second)
			o.want(true, 2)
		})
	}
}

// TestReplacedByRecord: the records say that another node has the place, before a commit
// fails.
func TestReplacedByRecord(t *testing.T) {
	inOffice(t, []string{"n2"}, func(o *office) {
		o.takenBy("n2")
		o.run(time.Minute)
		o.want(false, 1)
		delete(o.beating, "n2")
		o.run(10 * time.Second)
		o.want(true, 2)
	})
}

// TestFencedByWhoDies: whoever fences this node dies before it says so.
func TestFencedByWhoDies(t *testing.T) {
	inOffice(t, []string{"n2"}, func(o *office) {
		o.set(answers{commit: kafkalog.ErrFenced})
		o.request("a")
		delete(o.beating, "n2")
		o.run(fencedTimeout - time.Second)
		o.want(false, 1)
		o.set(answers{})
		o.run(3 * time.Second)
		o.want(true, 2)
	})
}

// TestOutdone: a node that has read less than another goes by does not take the place,
// until it has read that, or the other one is gone. The records of a topic that was made
// anew beside nodes that know the one before are less.
func TestOutdone(t *testing.T) {
	for _, reads := range []bool{true, false} {
		inBubble(t, []string{"n2"}, func(o *office) {
			o.theirs = 7
			o.run((beats.Quiet + 20_000) * time.Millisecond)
			o.want(false, 0)
			if seen, ok := o.ahead(); !ok || seen.Node != "n2" {
				t.Errorf("ahead is %v, %v", seen, ok)
			}
			if reads {
				o.core.Apply(cluster.Put(cluster.Controller{Node: "n2", Version: 7}))
				o.run(2 * time.Second)
			} else {
				delete(o.beating, "n2")
				o.run(6 * time.Second)
			}
			o.want(true, 1)
		})
	}
}

// TestAlarm: a controller that cannot trust the records is none, whether it had something
// to write or not, and does not try to be one.
func TestAlarm(t *testing.T) {
	for _, busy := range []bool{false, true} {
		inOffice(t, nil, func(o *office) {
			if busy {
				o.set(answers{commit: errTest, settle: errTest})
				o.request("a")
				o.run(time.Second)
			}
			o.set(answers{alarm: errTest, commit: errTest, settle: errTest})
			o.run(time.Minute)
			o.want(false, 1)
			if _, open := o.asked(); open != 0 {
				t.Error("the session is not closed")
			}
		})
	}
}

// TestTakeIsPaced: a place that cannot be taken is tried for again and again, with pauses.
func TestTakeIsPaced(t *testing.T) {
	inBubble(t, nil, func(o *office) {
		o.set(answers{open: errTest})
		o.run(20 * time.Second)
		opened, _ := o.asked()
		if opened < 2 || opened > int(20*time.Second/takePause) {
			t.Errorf("%d attempts in 20 s", opened)
		}
		o.set(answers{})
		o.run(5 * time.Second)
		o.want(true, opened+1)
	})
}

// TestCloseWhileTaking: what is taken when the agent closes is given back.
func TestCloseWhileTaking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		o := newOffice(ctx, t, nil)
		o.take()
		synctest.Wait() // taken, and nobody has heard of it
		if _, open := o.asked(); open != 1 {
			t.Fatalf("%d sessions are open", open)
		}
		cancel()
		synctest.Wait()
		if _, open := o.asked(); open != 0 {
			t.Error("the session is not closed")
		}
	})
}
