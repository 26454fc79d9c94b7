package placement

import "sync/atomic"

// Current holds the Map in force. Any goroutine may read it, at the cost of one
// atomic load; whoever follows the cluster replaces it. A reader that asks a Map
// more than once keeps the one that it loaded, so that its answers agree.
type Current struct {
	m atomic.Pointer[Map]
}

// NewCurrent returns a Current that holds m.
func NewCurrent(m *Map) *Current {
	c := new(Current)
	c.Store(m)
	return c
}

// Load returns the Map in force, nil before the first Store.
func (c *Current) Load() *Map { return c.m.Load() }

// Store puts a Map in force.
func (c *Current) Store(m *Map) { c.m.Store(m) }
