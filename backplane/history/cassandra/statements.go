package cassandra

import "fmt"

// statements are the texts of what is prepared, with the keyspace in them.
type statements struct {
	insertEntry  string
	insertPeer   string
	insertBucket string
	insertDay    string
	setErasure   string
	// Of a row of the table applied, each column has its own write time.
	setOffset string
	setTime   string
	setEntry  string
	setFloor  string

	deleteEntries string
	deletePeer    string
	deleteBucket  string

	selectAll      string // positions of all generations
	selectApplied  string
	selectPosition string
	selectDay      string
	selectErasure  string
	selectBuckets  string // of a user, for all peers

	// By direction: backward is true.
	bucketsInRange map[bool]string
	entriesInRange map[bool]string
	peerInRange    map[bool]string
	entriesAt      map[bool]string
}

func newStatements(keyspace string) *statements {
	f := func(stmt string) string { return fmt.Sprintf(stmt, keyspace) }
	// The tables have the newest first.
	inRange := func(stmt, order string) map[bool]string {
		return map[bool]string{true: f(stmt) + " LIMIT ?", false: f(stmt) + order + " LIMIT ?"}
	}
	const entriesAt = "SELECT offset, time, expires, value FROM %s.timeline WHERE user = ? AND generation = ? AND bucket = ? AND offset IN ?"
	position := func(column string) string {
		return f("UPDATE %s.applied USING TIMESTAMP ? SET " + column + " = ? WHERE generation = ? AND slice = ? AND partition = ?")
	}
	return &statements{
		insertEntry:  f("INSERT INTO %s.timeline (user, generation, bucket, offset, time, expires, value) VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?"),
		insertPeer:   f("INSERT INTO %s.conversation (user, generation, peer, bucket, offset) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?"),
		insertBucket: f("INSERT INTO %s.bucket (user, generation, peer, bucket) VALUES (?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?"),
		insertDay:    f("INSERT INTO %s.day (generation, partition, day, before) VALUES (?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?"),
		setErasure:   f("INSERT INTO %s.erasure (user, generation, offset) VALUES (?, ?, ?) USING TIMESTAMP ? AND TTL ?"),
		setOffset:    position("offset"),
		setTime:      position("time"),
		setEntry:     position("entry"),
		setFloor:     position("floor"),

		deleteEntries: f("DELETE FROM %s.timeline USING TIMESTAMP ? WHERE user = ? AND generation = ? AND bucket = ? AND offset <= ?"),
		deletePeer:    f("DELETE FROM %s.conversation USING TIMESTAMP ? WHERE user = ? AND generation = ? AND peer = ? AND bucket = ? AND offset <= ?"),
		deleteBucket:  f("DELETE FROM %s.bucket USING TIMESTAMP ? WHERE user = ? AND generation = ? AND peer = ? AND bucket = ?"),

		selectAll:      f("SELECT offset, time, entry, floor, generation, partition FROM %s.applied"),
		selectApplied:  f("SELECT offset, time, entry, floor, partition FROM %s.applied WHERE generation = ? AND slice = ?"),
		selectPosition: f("SELECT offset, time, entry, floor FROM %s.applied WHERE generation = ? AND slice = ? AND partition = ?"),
		selectDay:      f("SELECT before FROM %s.day WHERE generation = ? AND partition = ? AND day >= ? LIMIT 1"),
		selectErasure:  f("SELECT offset FROM %s.erasure WHERE user = ? AND generation = ?"),
		selectBuckets:  f("SELECT peer, bucket FROM %s.bucket WHERE user = ? AND generation = ?"),

		bucketsInRange: inRange("SELECT bucket FROM %s.bucket WHERE user = ? AND generation = ? AND peer = ? AND bucket >= ? AND bucket <= ?",
			" ORDER BY peer DESC, bucket ASC"),
		entriesInRange: inRange("SELECT offset, time, expires, value FROM %s.timeline WHERE user = ? AND generation = ? AND bucket = ? AND offset > ? AND offset < ?",
			" ORDER BY offset ASC"),
		peerInRange: inRange("SELECT offset FROM %s.conversation WHERE user = ? AND generation = ? AND peer = ? AND bucket = ? AND offset > ? AND offset < ?",
			" ORDER BY offset ASC"),
		entriesAt: map[bool]string{true: f(entriesAt), false: f(entriesAt + " ORDER BY offset ASC")},
	}
}

// notNull returns a value that may be empty as it is to be bound: nil would be null.
func notNull(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
