package beats

import "testing"

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
func (c *nodes) first(beating []string, successions map[string]*Succession) (string, int64) {
	start := c.now
	for range 1000 {
		for _, name := range beating {
			c.beat(name)
			for _, s := range beating {
				if successions[s].Due(c.w) {
					return s, c.now - start
				}
			}
			c.now += Interval / int64(len(beating))
		}
	}
	return "", 0
}

func successions(names ...string) map[string]*Succession {
	m := make(map[string]*Succession)
	for _, name := range names {
		m[name] = NewSuccession(name)
	}
	return m
}

func TestSuccessionWhenTheFlagIsDropped(t *testing.T) {
	c, all := settled(t, "a", "b", "c"), successions("a", "b", "c")
	c.flag = "b"
	c.run(10_000, "a", "b", "c")
	for _, s := range all {
		if s.Due(c.w) {
			t.Fatal("due while there is a controller")
		}
	}
	c.flag = ""
	c.run(Interval, "b")
	dropped := c.w.Now()
	if who, _ := c.first([]string{"a", "b", "c"}, all); who != "a" || c.w.Now()-dropped < Turn || c.w.Now()-dropped > 2*Turn {
		t.Errorf("%q is due after %d ms", who, c.w.Now()-dropped)
	}
	// a does not take it, so that the others get their turns.
	all["a"].Fenced("c")
	if who, _ := c.first([]string{"a", "b", "c"}, all); who != "b" || c.w.Now()-dropped < 2*Turn {
		t.Errorf("%q is due after %d ms", who, c.w.Now()-dropped)
	}
}

func TestSuccessionOfADeadController(t *testing.T) {
	c, all := settled(t, "a", "b", "c"), successions("a", "b", "c")
	c.flag = "a"
	c.run(10_000, "a", "b", "c")
	who, after := c.first([]string{"b", "c"}, all)
	if who != "b" || after < SuspectAfter-Interval+Turn || after > SuspectAfter+Turn+Interval {
		t.Errorf("%q is due after %d ms", who, after)
	}
}

// Whoever was fenced leaves the place to the one that did it until that one is
// suspected.
func TestSuccessionAfterFencing(t *testing.T) {
	c, all := settled(t, "a", "b"), successions("a", "b")
	all["a"].Fenced("b")
	c.run(Interval, "a", "b")
	if who, _ := c.first([]string{"a"}, all); who != "a" || !c.w.Suspected("b") {
		t.Errorf("%q is due while b is suspected: %v", who, c.w.Suspected("b"))
	}
	c.run(Interval, "b", "a")
	if !all["a"].Due(c.w) {
		t.Error("not due any more when b is back")
	}
}

// A node that begins to read listens first: the controller may have beaten just before.
func TestSuccessionAtTheBeginning(t *testing.T) {
	c, all := newNodes(t), successions("a", "b")
	if who, after := c.first([]string{"a"}, all); who != "a" || after < MaxHole+Turn || after > MaxHole+Turn+Interval {
		t.Errorf("%q is due after %d ms", who, after)
	}
	c = newNodes(t)
	c.run(Interval, "a")
	c.flag = "b"
	c.run(Interval, "b")
	if who, after := c.first([]string{"a", "b"}, all); who != "" {
		t.Errorf("%q is due after %d ms", who, after)
	}
}

// A node that nobody hears does not take the place: its beats would not tell of it.
func TestSuccessionOfAMuteNode(t *testing.T) {
	c := settled(t, "b")
	if NewSuccession("a").Due(c.w) {
		t.Error("due")
	}
}
