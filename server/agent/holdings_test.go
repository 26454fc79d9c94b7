package agent

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster/beats"
	"github.com/godwit-im/godwit/registry"
	"github.com/godwit-im/godwit/server/placement"
)

const (
	none     = placement.None
	owner    = placement.Owner
	next     = placement.Next
	previous = placement.Previous
)

// model is a node whose holdings, mover and loops take steps in any order: the clients'
// arrivals, what is under way, the reports of it, and the maps. What a loop does between
// two pieces of work is one step, but for the decision to let a client in, which is two: it
// looks at the map and at the consumer, and then registers the client.
type model struct {
	t        *rapid.T
	h        *holdings
	m        *mover
	reading  *reading
	registry *registry.Registry
	current  *placement.Current
	roles    []placement.Role
	version  uint64
	now      time.Time

	under   []func(context.Context)        // begun, and not done yet
	reports []func()                       // to be run by the agent's goroutine
	waiting *placement.Map                 // to be put in force
	coming  []client                       // let in, and not registered yet
	clients map[registry.Handle]client     // registered
	told    map[registry.Handle]bool       // to leave
	slots   int                            // given so far
	users   map[backplane.Partition]string // one of each partition
}

type client struct {
	user      string
	partition backplane.Partition
	handle    registry.Handle
}

const modelPartitions = 3

func newModel(t *rapid.T) *model {
	m := &model{
		t: t, reading: newReading(), registry: registry.New(), roles: make([]placement.Role, modelPartitions), now: time.Unix(1_700_000_000, 0),
		current: placement.NewCurrent(placement.Unknown(modelPartitions, self)),
		clients: make(map[registry.Handle]client), told: make(map[registry.Handle]bool), users: make(map[backplane.Partition]string),
	}
	for p := range backplane.Partition(modelPartitions) {
		m.users[p] = usersOf(p, modelPartitions, 1)[0]
	}
	m.m = newMover(m.registry, modelPartitions, func(list []registry.Handle) {
		for _, h := range list {
			m.told[h] = true
		}
	})
	m.h = &holdings{
		consumer: m.reading, current: m.current, log: quiet, kept: m.m.keep,
		since:  func() (int64, bool) { return 0, true },
		start:  func(f func(context.Context)) { m.under = append(m.under, f) },
		report: func(f func()) bool { m.reports = append(m.reports, f); return true },
		// All who were let in when it began are registered by its end.
		settle: func(context.Context) error { m.register(len(m.coming)); return nil },
	}
	return m
}

// step is what the agent does in each step.
func (m *model) step() {
	if m.waiting != nil && m.h.assign(m.waiting) {
		m.waiting = nil
	}
	m.h.step()
	m.h.letGo(m.m.turn(m.now, m.h.leaving(), 5))
}

// assign makes a map, which may come in force later.
func (m *model) assign() {
	m.version++
	m.waiting = mapOf(m.version, m.roles)
}

// arrive has a loop decide about a client, as session.Session does.
func (m *model) arrive(p backplane.Partition) {
	role := m.current.Load().Role(p)
	if role != owner && role != next || !m.reading.Reached(p) {
		return
	}
	m.slots++
	m.coming = append(m.coming, client{m.users[p], p, registry.MakeHandle(0, m.slots, 1)})
}

// register has the first n who were let in registered.
func (m *model) register(n int) {
	for _, c := range m.coming[:n] {
		m.registry.Add(c.user, c.handle)
		m.clients[c.handle] = c
	}
	m.coming = m.coming[n:]
}

// leave has those leave who were told, unless the node serves them again.
func (m *model) leave() {
	for h := range m.told {
		c, ok := m.clients[h]
		if role := m.current.Load().Role(c.partition); ok && role != owner && role != next {
			m.registry.Remove(c.user, h)
			delete(m.clients, h)
		}
	}
	clear(m.told)
}

// run does what was begun as the i-th.
func (m *model) run(i int, ctx context.Context) {
	f := m.under[i]
	m.under = append(m.under[:i:i], m.under[i+1:]...)
	f(ctx)
}

// hear has the agent's goroutine hear of what was done first.
func (m *model) hear() {
	f := m.reports[0]
	m.reports = m.reports[1:]
	f()
	m.step()
}

// check is what holds at any time.
func (m *model) check() {
	for _, c := range m.clients {
		if !m.reading.Reached(c.partition) {
			m.t.Fatalf("partition %d is not read, and a client of it is here", c.partition)
		}
	}
	if m.h.place == nil {
		return
	}
	for p := range backplane.Partition(modelPartitions) {
		if m.h.released(p) && m.reading.Reached(p) {
			m.t.Fatalf("partition %d is said to be released, and is read", p)
		}
		if m.h.warm(p) && !m.reading.Reached(p) {
			m.t.Fatalf("partition %d is said to be warm, and is not read", p)
		}
		for _, c := range m.coming {
			if c.partition == p && m.h.released(p) {
				m.t.Fatalf("partition %d is said to be released, and a client of it is let in", p)
			}
		}
	}
}

// TestPartitions: whatever the order, a partition is read while a client of it is here;
// in the end all are read that the node has to do with, and no others.
func TestPartitions(t *testing.T) {
	// One case in twenty comes as far as to tell a client to go.
	told := false
	for range 20 {
		rapid.Check(t, func(t *rapid.T) { told = testPartitions(t) || told })
		if told {
			return
		}
	}
	t.Error("no client was ever told to go")
}

// testPartitions is a case. It reports whether a client was told to go.
func testPartitions(t *rapid.T) bool {
	m := newModel(t)
	part := rapid.Custom(func(t *rapid.T) backplane.Partition {
		return backplane.Partition(rapid.IntRange(0, modelPartitions-1).Draw(t, "partition"))
	})
	t.Repeat(map[string]func(*rapid.T){
		"assign": func(t *rapid.T) {
			m.roles[part.Draw(t, "p")] = rapid.SampledFrom([]placement.Role{none, owner, owner, next, previous}).Draw(t, "role")
			m.assign()
		},
		"arrive":   func(t *rapid.T) { m.arrive(part.Draw(t, "p")) },
		"register": func(*rapid.T) { m.register(min(1, len(m.coming))) },
		"leave":    func(*rapid.T) { m.leave() },
		"hear": func(t *rapid.T) {
			if len(m.reports) == 0 {
				t.Skip("nothing was done")
			}
			m.hear()
		},
		"run": func(t *rapid.T) {
			if len(m.under) == 0 {
				t.Skip("nothing is under way")
			}
			m.reading.answer(rapid.SampledFrom([]error{nil, nil, errTest}).Draw(t, "fail"))
			m.run(rapid.IntRange(0, len(m.under)-1).Draw(t, "which"), ended())
		},
		"step": func(t *rapid.T) {
			m.now = m.now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "ms")) * time.Millisecond)
			m.step()
		},
		"": func(*rapid.T) { m.check() },
	})

	m.reading.answer(nil)
	for range 200 {
		m.register(len(m.coming))
		m.leave()
		for len(m.under) > 0 {
			m.run(0, ended())
		}
		for len(m.reports) > 0 {
			m.hear()
		}
		m.now = m.now.Add(turn)
		m.step()
		m.check()
	}
	for p, role := range m.roles {
		p := backplane.Partition(p)
		want := m.h.place != nil && (role == owner || role == next)
		if got := m.reading.Reached(p); got != want {
			t.Fatalf("partition %d, of which the node is %v, is read: %v", p, role, got)
		}
		if role == previous && m.h.place != nil && !m.h.released(p) {
			t.Fatalf("partition %d is not released", p)
		}
	}
	return m.m.told.Load() > 0
}

// bench runs holdings with goroutines, in a bubble.
type bench struct {
	*holdings
	reading *reading
	reports chan func()
	version uint64
}

func newBench(ctx context.Context) *bench {
	b := &bench{reading: newReading(), reports: make(chan func(), 16)}
	b.holdings = &holdings{
		consumer: b.reading, current: placement.NewCurrent(placement.Unknown(1, self)), log: quiet,
		since:  func() (int64, bool) { return 0, true },
		settle: func(context.Context) error { return nil },
		start:  func(f func(context.Context)) { go f(ctx) },
		report: func(f func()) bool { b.reports <- f; return true },
		kept:   func(backplane.Partition) {},
	}
	return b
}

func (b *bench) put(role placement.Role) bool {
	b.version++
	return b.assign(mapOf(b.version, []placement.Role{role}))
}

// run is the agent's goroutine for a while.
func (b *bench) run(d time.Duration) {
	end := time.After(d)
	b.step()
	for {
		select {
		case f := <-b.reports:
			f()
			b.step()
		case <-end:
			return
		}
	}
}

// TestFailuresArePaced: what fails at once is tried again, but not all the time.
func TestFailuresArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		b := newBench(ctx)
		b.reading.answer(errTest)
		b.put(owner)
		b.run(10 * time.Second)
		if n := b.reading.answer(nil); n < 2 || n > int(10*time.Second/retryPause)+1 {
			t.Errorf("%d attempts to add in 10 s", n)
		}
		b.run(time.Second)
		if b.state[0] != held {
			t.Errorf("the partition is in state %d", b.state[0])
		}
		var settles atomic.Int64
		b.settle = func(context.Context) error { settles.Add(1); return errTest }
		b.put(none)
		b.run(10 * time.Second)
		if n := settles.Load(); n < 2 || n > int64(10*time.Second/retryPause)+1 {
			t.Errorf("%d attempts to settle in 10 s", n)
		}
		if len(b.leaving()) != 0 {
			t.Error("the partition is being emptied, and loops may still let clients in")
		}
		cancel()
		synctest.Wait()
	})
}

// TestPartitionsDoNotWaitForEachOther: while partitions cannot be added, as when a broker
// is gone, others are let go.
func TestPartitionsDoNotWaitForEachOther(t *testing.T) {
	m := newModel(nil)
	put := func(roles ...placement.Role) {
		m.version++
		if !m.h.assign(mapOf(m.version, roles)) {
			t.Fatal("the map is not put in force")
		}
		m.step()
	}
	finish := func(i int) { m.run(i, ended()); m.hear() }
	put(owner, none, none)
	finish(0)
	put(previous, owner, none)
	if len(m.under) != 2 {
		t.Fatalf("%d things are under way", len(m.under))
	}
	finish(1) // the loops have settled; the other one takes its time
	m.now = m.now.Add(turn)
	m.step()
	finish(1)
	if !m.h.released(0) {
		t.Error("the partition is not released")
	}
	if m.h.state[1] != adding {
		t.Errorf("the other one is in state %d", m.h.state[1])
	}
}

// TestMapWaits: while a partition is being let go, no loop sees a map by which it is the
// node's again, since the consumer may seem to read it until it does not.
func TestMapWaits(t *testing.T) {
	m := newModel(nil)
	m.h.assign(mapOf(1, []placement.Role{owner, none, none}))
	m.step()
	m.run(0, ended())
	m.hear()
	m.h.assign(mapOf(2, []placement.Role{previous, none, none}))
	m.step()
	m.run(0, ended())
	m.hear()
	m.now = m.now.Add(turn)
	m.step()
	if m.h.state[0] != removing {
		t.Fatalf("the partition is in state %d", m.h.state[0])
	}
	if m.h.assign(mapOf(3, []placement.Role{owner, none, none})) || m.current.Load().Version() != 2 {
		t.Fatal("the map is put in force")
	}
	m.run(0, ended())
	m.hear()
	if !m.h.released(0) || !m.h.assign(mapOf(3, []placement.Role{owner, none, none})) {
		t.Fatal("the map is not put in force")
	}
	m.step()
	if m.h.state[0] != adding {
		t.Errorf("the partition is in state %d", m.h.state[0])
	}
}

// TestReadFrom: partitions are read from Rewind before now on, also by a node whose clock is
// ahead of the log's.
func TestReadFrom(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	for name, c := range map[string]struct{ ahead, want time.Duration }{
		"clocks agree":   {0, 0},
		"it is ahead":    {time.Hour, -time.Hour},
		"it is behind":   {-time.Hour, 0}, // it reads more than it needs
		"a little ahead": {90 * time.Second, -90 * time.Second},
	} {
		heard := beats.NewWatch()
		if since, ok := readFrom(now, now.Add(-hearPatience+1), heard); ok {
			t.Errorf("before a beat was heard it reads from %v on", time.UnixMilli(since))
		}
		if since, ok := readFrom(now, now.Add(-hearPatience), heard); !ok || since != now.Add(-backplane.Rewind).UnixMilli() {
			t.Errorf("without beats it reads from %v on, %v", time.UnixMilli(since), ok)
		}
		heard.Beat(beats.Beat{Node: self, Incarnation: 1, N: 1}, now.Add(-c.ahead).UnixMilli())
		since, ok := readFrom(now, now, heard)
		if want := now.Add(c.want - backplane.Rewind).UnixMilli(); !ok || since != want {
			t.Errorf("%s: it reads from %v on, %v, want %v", name, time.UnixMilli(since), ok, time.UnixMilli(want))
		}
	}
}

// TestWaitsForTime: nothing is read before it is known from when on.
func TestWaitsForTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		b := newBench(ctx)
		known := false
		b.since = func() (int64, bool) { return 0, known }
		b.put(owner)
		b.run(time.Second)
		if b.state[0] != absent {
			t.Errorf("the partition is in state %d before the time is known", b.state[0])
		}
		known = true
		b.run(time.Second)
		if b.state[0] != held {
			t.Errorf("the partition is in state %d when the time is known", b.state[0])
		}
	})
}
