package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/godwit-im/godwit/tools/verify/event"
)

// enough is never violated: a run that shows little says nothing of the server.
type enough struct {
	base
	acks   int64
	least  int
	faults map[int]*fault
}

type fault struct {
	name string
	hit  bool
}

func newEnough(o Options) check {
	return &enough{base: promise("enough", "The run has acknowledged enough messages, every fault has hit, and it got to its end."),
		acks: o.MinAcks, least: o.MinFaults, faults: make(map[int]*fault)}
}

func (c *enough) event(_ *index, f *fact) {
	e, ok := f.Event.(*event.Fault)
	if !ok {
		return
	}
	if c.faults[e.N] == nil {
		c.faults[e.N] = &fault{name: fmt.Sprintf("%d (%s of %s)", e.N, e.Kind, e.Target)}
	}
	c.faults[e.N].hit = c.faults[e.N].hit || e.Phase == event.Hit
}

func (c *enough) end(x *index) {
	c.Tested = x.stats.Acked
	var missed []string
	hit := 0
	for _, n := range slices.Sorted(maps.Keys(c.faults)) {
		if c.faults[n].hit {
			hit++
		} else {
			missed = append(missed, c.faults[n].name)
		}
	}
	c.settled()
	switch {
	case !x.read:
		c.untested("the run did not get to its end")
	case x.stats.Acked < c.acks:
		c.untested("%d messages were acknowledged, fewer than %d", x.stats.Acked, c.acks)
	case len(missed) > 0:
		c.untested("faults did not hit: %s", strings.Join(missed, ", "))
	case hit < c.least:
		c.untested("%d faults have hit, fewer than %d", hit, c.least)
	default:
		c.Note = fmt.Sprintf("%d messages were acknowledged, %d faults have hit", x.stats.Acked, hit)
	}
}
