package load

// pingKey is the key of a connection's ping among the flights: it has one at most, since
// a pong does not say which ping it answers.
func (t *trafficJob) pingKey(l *loop, c *conn) uint64 { return stamp{sender: l.id(c)}.key() }

// ping sends a ping that was due at a time.
func (t *trafficJob) ping(l *loop, c *conn, due int64) {
	t.flights[t.pingKey(l, c)] = flight{at: due}
	c.flying++
	l.counters.sent.Add(1)
	l.counters.flying.Add(1)
	l.ping(c)
}

// pong takes the answer. Those to heartbeats have no flight.
func (t *trafficJob) pong(l *loop, c *conn) {
	key := t.pingKey(l, c)
	f, ok := t.flights[key]
	if !ok {
		return
	}
	delete(t.flights, key)
	c.flying--
	l.counters.flying.Add(-1)
	l.counters.stored.Add(1)
	l.results.ack.RecordValue(l.micros(f.at))
	t.last = l.now
}

// waits reports whether a message that nobody can send has to wait until somebody can. A
// ping does: those under way are what it is there to measure, and it counts from the time
// at which it was due.
func (t *trafficJob) waits(l *loop) bool {
	return t.spec.Shape == Ping && l.counters.open.Load() > 0 && l.now < t.deadline
}
