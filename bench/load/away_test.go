package load

import (
	"testing"

	"github.com/godwit-im/godwit/backplane/kafkatest"
)

// TestReturn has devices miss messages and come back for them: each gets what it missed,
// once, and nothing that it had before.
func TestReturn(t *testing.T) {
	addr := node(t)
	for _, c := range []Config{
		{Protocol: Proto, Connections: 100, Loops: 2},
		{Protocol: JSON, Connections: 90, Users: 30, Loops: 3}, // devices with names
	} {
		t.Run(string(c.Protocol), func(t *testing.T) {
			c.Addr, c.Key, c.Partitions = addr, secret, partitions
			g := start(t, c)
			ctx, n := within(t), int64(c.Connections)
			if r, err := g.Connect(ctx, c.Connections, 0); err != nil || r.Stats.Resumed != 0 {
				t.Fatalf("%+v, %v", r, err)
			}
			send := Traffic{Shape: Unicast, Size: 100, InFlight: 20, Count: 500}
			due := 500 * 2 * n / int64(g.config.Users)
			r, err := g.Run(ctx, send)
			flawless(t, r, err, due)

			for range 2 {
				if left := g.Leave(40); left != 40 {
					t.Fatalf("%d have left", left)
				}
				r, err = g.Run(ctx, send)
				if err != nil || !r.Stats.Flawless() || !r.Check.Exact() || r.Check.Unchecked != 40 || r.Stats.Stored != 500 {
					t.Fatalf("while some are away: %+v, %v", r, err)
				}
				here := r.Stats.Deliveries
				r, err = g.Return(ctx, 0)
				if err != nil || !r.Stats.Flawless() || !r.Check.Exact() || r.Check.Due != due || r.Stats.Deliveries != due-here || r.Stats.Stale != 0 {
					t.Fatalf("%d of %d deliveries were missed: %+v, %v", due-here, due, r, err)
				}
				if r.Stats.Opened != 40 || r.Stats.Resumed != 40 || r.Stats.Open != n || r.Check.Checked != n || r.Arrived <= 0 {
					t.Fatalf("%+v", r)
				}
			}

			// Who comes back without a cursor gets nothing of it.
			g.Leave(40)
			if r, err = g.Run(ctx, send); err != nil || r.Check.Unchecked != 40 {
				t.Fatalf("%+v, %v", r, err)
			}
			if r, err = g.Reopen(ctx, 40, 0); err != nil || r.Stats.Opened != 40 || r.Stats.Resumed != 0 {
				t.Fatalf("%+v, %v", r, err)
			}
			r, err = g.Run(ctx, send)
			flawless(t, r, err, due)
			if r.Stats.Stale != 0 {
				t.Errorf("%d messages came late", r.Stats.Stale)
			}

			// Nothing was missed.
			g.Leave(c.Connections)
			if r, err = g.Return(ctx, 0); err != nil || r.Stats.Resumed != n || r.Stats.Deliveries+r.Stats.Stale != 0 {
				t.Fatalf("%+v, %v", r, err)
			}
			r, err = g.Run(ctx, send)
			flawless(t, r, err, due)
		})
	}
}

// TestReturnOfAll has everybody away while another node takes what is sent to them.
func TestReturnOfAll(t *testing.T) {
	log := kafkatest.Embedded(t, partitions)
	c := Config{Addr: nodeOn(t, log), Feed: nodeOn(t, log), Protocol: Proto, Connections: 200, Key: secret, Partitions: partitions}
	g := start(t, c)
	ctx := within(t)
	if _, err := g.Connect(ctx, 200, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := g.OpenFeed(ctx); err != nil {
		t.Fatal(err)
	}
	groups, err := c.Groups(64)
	if err != nil || groups == 0 {
		t.Fatal(groups, err)
	}
	g.Leave(200)
	const each = 5
	r, err := g.Run(ctx, Traffic{Shape: Group, Size: 100, InFlight: 16, Count: int64(groups) * each, Fanout: 64})
	if err != nil || !r.Stats.Flawless() || r.Check.Checked != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	r, err = g.Return(ctx, 0)
	flawless(t, r, err, 200*each)
	if r.Stats.Resumed != 200 || r.Stats.Stale != 0 {
		t.Errorf("%+v", r)
	}
}

// TestReturnSees: a message that a device does not get when it comes back is noticed, and
// so is one that comes again.
func TestReturnSees(t *testing.T) {
	_, l, b := bookkeeping(0)
	l.results.init()
	l.traffic = &trafficJob{}
	c := l.slots.at(7)
	c.state, c.away = stateClosed, true
	l.begin(l.traffic)
	s := stamp{1, 3, 1}
	b.enter(l.g, s, 7, true)
	l.give(3, s)
	if got := l.check(b); !got.Exact() || got.Unchecked != 1 {
		t.Fatalf("while it is away: %+v", got)
	}
	c.state = stateOpen
	if got := l.check(b); got.Lost != 1 || got.Checked != 10 {
		t.Errorf("a loss: %+v", got)
	}
	l.give(7, s)
	l.give(7, s)
	if got := l.check(b); got.Doubled != 1 {
		t.Errorf("a double: %+v", got)
	}
}

// TestHistory reads pages, which have to be full.
func TestHistory(t *testing.T) {
	addr := node(t)
	for _, p := range []Protocol{JSON, Proto} {
		g := start(t, Config{Addr: addr, Protocol: p, Connections: 20, Prefix: string(p), Key: secret, Partitions: partitions, Loops: 2})
		ctx := within(t)
		if _, err := g.Connect(ctx, 20, 0); err != nil {
			t.Fatal(err)
		}
		r, err := g.Run(ctx, Traffic{Shape: Neighbour, Size: 100, InFlight: 20, Count: 200})
		flawless(t, r, err, 400)
		r, err = g.Run(ctx, Traffic{Shape: History, Page: 15, Rate: 500, Count: 100})
		if err != nil || !r.Stats.Flawless() || r.Stats.Stored != 100 || r.Ack.Count != 100 || r.Stats.Deliveries != 0 || r.Check.Due != 0 {
			t.Fatalf("%s: %+v, %v", p, r, err)
		}
		// Everybody has sent ten and got ten.
		if r, err = g.Run(ctx, Traffic{Shape: History, Page: 21, InFlight: 5, Count: 10}); err != nil || r.Stats.Bad != 10 || r.Stats.Flawless() {
			t.Fatalf("%s: pages that are not full: %+v, %v", p, r, err)
		}
	}
}
