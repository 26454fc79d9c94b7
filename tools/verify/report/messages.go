package report

import (
	"slices"

	"github.com/godwit-im/godwit/tools/verify/event"
)

func (c *collector) send(e *event.Send) {
	c.story.Totals.Attempts.Sends++
	c.steps.at(c.now).Attempts.Sends++
	if c.current >= 0 {
		c.phases[c.current].Attempts.Sends++
	}
	d := c.device(e.Conn)
	if d == nil {
		return
	}
	d.pending[e.ID] = attempt{message: e.MessageID, at: c.now, phase: c.current}
	// A retry of a message that is not on its way is of one that everybody has seen, or that
	// was given up.
	if e.Attempt > 1 || c.flight.messages[e.MessageID] != nil {
		return
	}
	c.parties = append(c.parties[:0], d.user.devices)
	for i, name := range e.To {
		if u := c.users[name]; u != nil && u != d.user && !slices.Contains(e.To[:i], name) {
			c.parties = append(c.parties, u.devices)
		}
	}
	m := &message{sent: c.now, phase: c.current, must: e.Kind == event.Ordinary && e.TTL == 0}
	c.flight.send(e.MessageID, m, c.parties)
}

// answer counts the outcome of an attempt when it comes, and where the attempt was begun. It
// returns the attempt.
func (c *collector) answer(conn uint64, id string, a Answers) (attempt, bool) {
	c.story.Totals.Attempts.add(a)
	c.steps.at(c.now).Answers.add(a)
	d := c.device(conn)
	if d == nil {
		return attempt{}, false
	}
	tried, ok := d.pending[id]
	if !ok {
		return attempt{}, false
	}
	delete(d.pending, id)
	c.steps.at(tried.at).Attempts.add(a)
	if tried.phase >= 0 {
		c.phases[tried.phase].Attempts.add(a)
	}
	return tried, true
}

func (c *collector) stored(e *event.Ack) {
	tried, ok := c.answer(e.Conn, e.ID, Answers{Stored: 1})
	if !ok {
		return
	}
	took := c.now - tried.at
	c.ack.add(took, fine)
	c.steps.at(tried.at).ack.add(took, coarse)
	if tried.phase >= 0 {
		c.phases[tried.phase].ack.add(took, fine)
	}
	c.steps.miss(c.now, c.flight.store(tried.message))
}

func (c *collector) delivered(e *event.Deliver) {
	d := c.device(e.Conn)
	if d == nil {
		return
	}
	m, live, fewer := c.flight.see(e.MessageID, d)
	c.steps.miss(c.now, -fewer)
	if m == nil || !live {
		return
	}
	took := c.now - m.sent
	c.deliver.add(took, fine)
	c.steps.at(m.sent).deliver.add(took, coarse)
	if m.phase >= 0 {
		c.phases[m.phase].deliver.add(took, fine)
	}
}

// page notes what a device has seen by fetching it. The reading at the end is not for that:
// it asks history for what devices have.
func (c *collector) page(e *event.Page) {
	d := c.device(e.Conn)
	if d == nil || e.Reading {
		return
	}
	for i := range e.Entries {
		_, _, fewer := c.flight.see(e.Entries[i].MessageID, d)
		c.steps.miss(c.now, -fewer)
	}
}
