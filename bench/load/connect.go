package load

import (
	"fmt"

	"github.com/godwit-im/godwit/backplane"
)

// connectJob opens connections of one loop.
type connectJob struct {
	slots    []int32 // to be opened again, in place of new ones
	count    int     // how many are to be opened
	begun    int
	ended    int     // of those, open or failed
	start    int64   // when it began
	interval float64 // nanoseconds between two, 0 for as fast as possible
	most     int     // on their way at once
	hangup   bool    // close each when it is open
	resume   bool    // go on from each one's cursor
	finished func()
}

// step opens what is due and returns when it wants to be called again.
func (j *connectJob) step(l *loop) int64 {
	for range opensPerPass {
		if j.begun == j.count || j.begun-j.ended >= j.most {
			return never // one that ends has this called
		}
		if due := j.start + int64(float64(j.begun)*j.interval); due > l.now {
			return due
		}
		var c *conn
		if j.slots != nil {
			c = l.conn(j.slots[j.begun])
		} else {
			c = l.slots.take()
		}
		j.begun++
		c.job = true
		if l.follows(c) {
			l.first(c)
			l.connectTo(c)
		} else {
			l.dial(c)
		}
		if l.connect == nil {
			return never // that was the last, and it failed at once
		}
	}
	return l.now
}

// done counts a connection that is open or has failed.
func (j *connectJob) done(l *loop) {
	j.ended++
	if j.ended == j.count {
		l.connect = nil
		j.finished()
	}
}

// makeFeed makes the slots of the feeders, one for each partition, and finds each a user
// who lives there.
func (l *loop) makeFeed() []int32 {
	n := l.g.config.Partitions
	slots := make([]int32, n)
	l.feederNames = make([][]byte, n)
	for p := range n {
		c := l.feeders.take()
		c.slot |= feeder
		slots[p] = c.slot
		for i := 0; ; i++ {
			name := fmt.Appendf(nil, "%sfeed-%d-%d", l.g.config.Prefix, l.index, i)
			if backplane.PartitionOf(name, n) == backplane.Partition(p) {
				l.feederNames[p] = name
				break
			}
		}
	}
	return slots
}

// drop closes up to n open connections, spread evenly, and returns their slots.
func (l *loop) drop(n int) []int32 {
	slots := l.pick(n)
	for _, slot := range slots {
		l.end(l.slots.at(int(slot)))
	}
	return slots
}

// pick returns up to n open connections that read, spread evenly: the same ones each
// time while the same are open.
func (l *loop) pick(n int) []int32 {
	open := make([]int32, 0, l.slots.used)
	l.slots.each(func(c *conn) {
		if c.state == stateOpen && !c.slow {
			open = append(open, c.slot)
		}
	})
	n = min(n, len(open))
	picked := make([]int32, 0, n)
	for i := range n {
		picked = append(picked, open[i*len(open)/n])
	}
	return picked
}

// setSlow has up to n open connections stop reading, or all read again.
func (l *loop) setSlow(n int, slow bool) int {
	if !slow {
		n = 0
		l.slots.each(func(c *conn) {
			if c.slow {
				c.slow = false
				n++
				if c.state != stateClosed {
					l.again = append(l.again, c.slot)
				}
			}
		})
		return n
	}
	slots := l.pick(n)
	for _, slot := range slots {
		c := l.slots.at(int(slot))
		c.slow, c.partial = true, true
	}
	return len(slots)
}
