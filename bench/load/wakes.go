package load

import "container/heap"

// wake is a time at which to look at a connection again, if it is still at the same
// attempt: to go on after a pause, or to give up what takes too long.
type wake struct {
	due     int64
	slot    int32
	attempt uint16
}

// wakes are those of a loop, a heap with the earliest first.
type wakes []wake

func (w wakes) Len() int           { return len(w) }
func (w wakes) Less(i, j int) bool { return w[i].due < w[j].due }
func (w wakes) Swap(i, j int)      { w[i], w[j] = w[j], w[i] }

// Push is called by package heap.
func (w *wakes) Push(x any) { *w = append(*w, x.(wake)) }

// Pop is called by package heap.
func (w *wakes) Pop() any {
	last := (*w)[len(*w)-1]
	*w = (*w)[:len(*w)-1]
	return last
}

// wakeAt has a connection looked at.
func (l *loop) wakeAt(c *conn, due int64) { heap.Push(&l.wakes, wake{due, c.slot, c.attempt}) }

// wakeUp looks at the connections whose time has come, a few in each pass, and returns when
// it wants to be called again.
func (l *loop) wakeUp() int64 {
	for range opensPerPass {
		if len(l.wakes) == 0 {
			return never
		}
		if due := l.wakes[0].due; due > l.now {
			return due
		}
		w := heap.Pop(&l.wakes).(wake)
		c := l.conn(w.slot)
		switch {
		case c.attempt != w.attempt || c.state == stateOpen || c.state == stateClosed:
		case c.state == stateWaiting:
			l.counters.connecting.Add(-1)
			l.connectTo(c)
		default:
			l.fail(c, errNoAnswer)
		}
	}
	return l.now
}
