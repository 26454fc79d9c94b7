package cluster

// Record is a record of the cluster's topic as it travels.
type Record struct {
	Key string
	// Value is JSON, nil in a tombstone.
	Value []byte
	// Offset and Time are the record's place in the log and its log time in Unix
	// milliseconds; 0 in one that is to be written.
	Offset int64
	Time   int64
}

// Change is what a record does to the cluster: under its key there is now Body, or
// nothing.
type Change struct {
	Key  string
	Body Body // nil deletes
	// Offset and Time are those of the Record, 0 in a change that is to be written.
	// Requests are judged in the order of their offsets.
	Offset int64
	Time   int64
}

// Put returns the change that writes a body.
func Put(b Body) Change { return Change{Key: b.Key(), Body: b} }

// Delete returns the change that deletes what is under a key.
func Delete(key string) Change { return Change{Key: key} }

// Parse returns what a record does. A record that is not understood makes a change
// to a Foreign. r.Value is copied where it is kept.
func Parse(r Record) Change {
	c := Change{Key: r.Key, Offset: r.Offset, Time: r.Time}
	if r.Value != nil {
		c.Body = decode(r.Key, r.Value)
	}
	return c
}

// Record returns the record of a change.
func (c Change) Record() Record {
	r := Record{Key: c.Key, Offset: c.Offset, Time: c.Time}
	if c.Body != nil {
		r.Value = encode(c.Body)
	}
	return r
}

// Seal makes a decision of changes: it returns them with the map version after that
// of s, and behind them the controller's record c, which makes that the version of
// whoever has applied all of them. They are to be written in this order, in one
// transaction. changes is left as it is.
func Seal(s *Snapshot, c Controller, changes []Change) []Change {
	version := s.Version() + 1
	sealed := make([]Change, 0, len(changes)+1)
	for _, change := range append(changes[:len(changes):len(changes)], Put(c)) {
		if change.Body != nil {
			change.Body = change.Body.stamped(version)
		}
		sealed = append(sealed, change)
	}
	return sealed
}
