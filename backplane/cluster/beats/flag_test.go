package beats

import (
	"slices"
	"testing"
)

func TestControllerFlag(t *testing.T) {
	c := settled(t, "a", "b")
	if got := c.w.Controller(); got != "" {
		t.Errorf("controller is %q", got)
	}
	c.flag = "b"
	c.run(Interval, "a", "b")
	if got := c.w.Controller(); got != "b" {
		t.Errorf("controller is %q", got)
	}
	c.flag = "a" // b has not noticed yet
	c.run(Interval, "a")
	c.flag = ""
	c.run(Interval, "b")
	if got := c.w.Controller(); got != "a" {
		t.Errorf("controller is %q", got)
	}
	c.run(Interval, "a")
	if got := c.w.Controller(); got != "" {
		t.Errorf("controller is %q after it dropped the flag", got)
	}
}

// first returns who of the nodes is due first, and when, in ms from now on.
func (c *nodes) first(beating ...string) (string, int64) {
	start := c.now
	for range 1000 {
		for _, name := range beating {
			c.beat(name)
			for _, name := range beating {
				if c.w.Due(name) {
					return name, c.now - start
				}
			}
			c.now += Interval / int64(len(beating))
		}
	}
	return "", 0
}

// The nodes have their turns in the order of their names, the one that had the flag after
// all others.
func TestDueWhenTheFlagIsDropped(t *testing.T) {
	c := settled(t, "a", "b", "c")
	c.flag = "b"
	c.run(10_000, "a", "b", "c")
	for _, name := range []string{"a", "b", "c"} {
		if c.w.Due(name) {
			t.Fatal("due while there is a controller")
		}
	}
	c.flag = ""
	c.run(Interval, "b")
	dropped := c.w.Now()
	// Nobody takes it, so that each gets its turn.
	var order []string
	due := make(map[string]bool)
	for len(order) < 3 && c.w.Now() < dropped+10*Turn {
		for _, name := range []string{"a", "b", "c"} {
			c.beat(name)
			if c.w.Due(name) && !due[name] {
				due[name] = true
				order = append(order, name)
				if turn := int64(len(order)) * Turn; c.w.Now() < dropped+turn || c.w.Now() > dropped+turn+Interval {
					t.Errorf("%s is due after %d ms, want %d", name, c.w.Now()-dropped, turn)
				}
			}
		}
		c.now += 100
	}
	if !slices.Equal(order, []string{"a", "c", "b"}) {
		t.Errorf("due are %v", order)
	}
}

func TestDueAfterADeadController(t *testing.T) {
	c := settled(t, "a", "b", "c")
	c.flag = "a"
	c.run(10_000, "a", "b", "c")
	who, after := c.first("b", "c")
	if who != "b" || after < SuspectAfter-Interval+Turn || after > SuspectAfter+Turn+Interval {
		t.Errorf("%q is due after %d ms", who, after)
	}
}

// Of two nodes one takes the place from the other, and drops the flag: the other one does
// not wait for it, whoever has the lesser name.
func TestDueAfterOneThatGivesUp(t *testing.T) {
	for _, taker := range []string{"a", "b"} {
		other := map[string]string{"a": "b", "b": "a"}[taker]
		c := settled(t, "a", "b")
		c.flag = other
		c.run(5000, "a", "b")
		c.flag = taker
		c.run(5000, "a", "b")
		c.flag = ""
		if who, after := c.first("a", "b"); who != other || after < Turn || after > 2*Turn+Interval {
			t.Errorf("%s gives up: %q is due after %d ms", taker, who, after)
		}
		// The flag goes on missing, so the one that gave it up gets its turn, too.
		c.run(2*Turn, "a", "b")
		if !c.w.Due(taker) {
			t.Errorf("%s is not due again", taker)
		}
		c.flag = other
		c.run(Interval, "a", "b")
		if c.w.Due("a") || c.w.Due("b") {
			t.Error("due while there is a controller")
		}
	}
}

// A node that begins to read listens first: the controller may have beaten just before.
func TestDueAtTheBeginning(t *testing.T) {
	c := newNodes(t)
	if who, after := c.first("a"); who != "a" || after < MaxHole+Turn || after > MaxHole+Turn+Interval {
		t.Errorf("%q is due after %d ms", who, after)
	}
	c = newNodes(t)
	c.run(Interval, "a")
	c.flag = "b"
	c.run(Interval, "b")
	if who, after := c.first("a", "b"); who != "" {
		t.Errorf("%q is due after %d ms", who, after)
	}
}

// A node that nobody hears does not take the place: its beats would not tell of it.
func TestDueOfAMuteNode(t *testing.T) {
	if c := settled(t, "b"); c.w.Due("a") {
		t.Error("due")
	}
}
