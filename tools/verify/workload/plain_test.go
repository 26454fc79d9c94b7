package workload

import (
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/tools/verify/wire"
)

func newTestPlain(t *testing.T) *plain {
	t.Helper()
	l, err := New(Options{Users: 2, Devices: 1, Rate: 1, URLs: func() []string { return nil }, Token: func(string, time.Duration) string { return "" }, Write: discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return newPlain(l.devices[0])
}

// TestGapsThatComeAgain has a device go back to before some of its gaps, which then need not be
// fetched.
func TestGapsThatComeAgain(t *testing.T) {
	c := newTestPlain(t)
	v := &c.mu.view
	v.begin("w")
	var gaps []*gap
	for _, cursor := range []string{"d1", "d2", "d3"} {
		v.took(cursor)
		at, _ := v.at(0)
		gaps = append(gaps, &gap{after: cursor, at: at})
		v.beat("h after " + cursor) // what it tells lies after the gap
	}
	c.mu.gaps = slices.Clone(gaps)

	last, _ := v.at(0)
	c.dropGaps(last.number)
	if !slices.Equal(c.mu.gaps, gaps) {
		t.Errorf("a device that goes on after its gaps has %d of 3 to fetch", len(c.mu.gaps))
	}
	c.dropGaps(gaps[1].at.number)
	if !slices.Equal(c.mu.gaps, gaps[:1]) {
		t.Errorf("a device that goes back to before the second gap has %d to fetch", len(c.mu.gaps))
	}
}

// TestRewind has a device go back to before a gap, because there is no history.
func TestRewind(t *testing.T) {
	c := newTestPlain(t)
	c.mu.view.begin("w")
	at, _ := c.mu.view.at(0)
	g := &gap{at: at}
	c.rewind(g) // which the device does not have any more
	if c.mu.from != nil || c.mu.hangUp {
		t.Error("it goes back to before a gap that is over")
	}
	c.mu.gaps = []*gap{g}
	c.mu.view.took("d")
	c.rewind(g)
	if c.mu.from == nil || *c.mu.from != at || !c.mu.hangUp || len(c.poke) != 1 {
		t.Errorf("it does not go back: %+v", c.mu.from)
	}
}

// TestPagesOfAGap has a gap be open until its last page has come.
func TestPagesOfAGap(t *testing.T) {
	c := newTestPlain(t)
	first, second := &gap{after: "a", before: "c"}, &gap{after: "x", before: "z"}
	c.mu.gaps = []*gap{first, second}
	c.fetched(first, &page{after: "b", moreAfter: true})
	if first.after != "b" || len(c.mu.gaps) != 2 {
		t.Errorf("after a page it goes on at %q, with %d gaps", first.after, len(c.mu.gaps))
	}
	c.fetched(first, &page{after: "c"})
	if !slices.Equal(c.mu.gaps, []*gap{second}) {
		t.Errorf("after the last page there are %d gaps", len(c.mu.gaps))
	}
	c.fetched(first, &page{after: "c"}) // it comes again, and the gap is over
	if !slices.Equal(c.mu.gaps, []*gap{second}) {
		t.Errorf("then there are %d", len(c.mu.gaps))
	}
	if c.load.Counts().Conduct.CatchUps != 3 {
		t.Errorf("%d pages are counted", c.load.Counts().Conduct.CatchUps)
	}
}

// TestPagesOfNoGap: a device lacks what it has only read about, unless a gap has told that it
// must fetch it.
func TestPagesOfNoGap(t *testing.T) {
	c := newTestPlain(t)
	lacking := func(n byte, gaps []*gap, reading bool) int64 {
		id := messageID{n}
		c.load.ledger.begin(id, 1, []int{c.user})
		c.load.ledger.stored(id)
		c.load.ledger.seen(id, 1, 0)
		before := c.load.ledger.lacking()
		c.mu.gaps = gaps
		s := &session{plain: c, number: 1, reading: map[string]bool{"h1": reading}}
		c.answered(s, &wire.Page{ID: "h1", Messages: []wire.Message{{MessageID: wire.MessageID(id)}}})
		return c.load.ledger.lacking() - before
	}
	open := []*gap{{after: "a", before: "c"}}
	if got := lacking(1, nil, false); got != 0 {
		t.Errorf("a page that no gap has asked for changes what is lacking by %d", got)
	}
	if got := lacking(2, open, true); got != 0 {
		t.Errorf("a page of the reading changes it by %d", got)
	}
	if got := lacking(3, open, false); got != -1 {
		t.Errorf("a page of a gap changes it by %d", got)
	}
}
