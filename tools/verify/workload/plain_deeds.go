package workload

import (
	"context"
	"time"

	"github.com/godwit-im/godwit/tools/verify/wire"
)

// token returns a new token.
func (d *device) token() string {
	if d.character.short {
		return d.load.o.Token(d.name, shortToken)
	}
	return d.load.o.Token(d.name, longToken)
}

func (c *plain) refresh() {
	c.mu.Lock()
	s := c.mu.at
	c.mu.Unlock()
	if s != nil {
		c.load.tally.count(func(n *Counts) { n.Conduct.Refreshes++ })
		_ = s.conn.Refresh(c.token()) // after an error the connection ends
	}
}

func (c *plain) setPace(bytesPerSecond int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.pace = bytesPerSecond
	if s := c.mu.at; s != nil {
		s.heard.Store(time.Now().UnixNano())
		s.conn.SetPace(bytesPerSecond)
	}
}

func (c *plain) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.mu.at; s != nil {
		s.conn.Cut()
	}
}

func (c *plain) leave(abrupt bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.away, c.mu.hangUp, c.mu.abrupt = true, true, abrupt
	ring(c.poke)
}

func (c *plain) come(how resumption) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.away = false
	if how != (resumption{}) {
		c.mu.how, c.mu.from = how, nil
	}
	ring(c.poke)
}

func (c *plain) cursor(steps int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, _ := c.mu.view.at(steps)
	return m.cursor
}

// catchUp fetches what gaps have told of from history. Where there is none, the device goes
// back to before the first gap.
func (c *plain) catchUp(ctx context.Context) bool {
	for {
		c.mu.Lock()
		if len(c.mu.gaps) == 0 {
			c.mu.Unlock()
			return true
		}
		g := c.mu.gaps[0]
		c.mu.Unlock()
		fetching, cancel := context.WithTimeout(ctx, pageTimeout)
		p, err := c.history(fetching, wire.History{After: g.after, Before: g.before, Limit: pageSize}, false)
		cancel()
		switch {
		case err != nil:
			return false
		case p.code == "no_history":
			c.rewind(g)
			return false // until it has come again
		case p.code != "":
			return false
		}
		c.fetched(g, p)
	}
}

// fetched notes that a page of a gap has come.
func (c *plain) fetched(g *gap, p *page) {
	c.load.tally.count(func(n *Counts) { n.Conduct.CatchUps++ })
	c.mu.Lock()
	defer c.mu.Unlock()
	g.after = p.after
	if p.moreAfter {
		return
	}
	for i := range c.mu.gaps {
		if c.mu.gaps[i] == g {
			c.mu.gaps = append(c.mu.gaps[:i], c.mu.gaps[i+1:]...)
			return
		}
	}
}

// rewind has the device connect with the cursor before a gap, where its view still has that.
func (c *plain) rewind(g *gap) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, kept := range c.mu.gaps {
		if kept == g {
			c.mu.from = &g.at
			c.mu.hangUp, c.mu.abrupt = true, false
			ring(c.poke)
			return
		}
	}
}
