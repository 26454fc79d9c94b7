package history

import (
	"errors"

	"github.com/godwit-im/godwit/backplane"
)

var errBadRecipients = errors.New("the recipients are not a list of users")

// gather adds what a record means for the timelines of its partition to the batch. It
// adds nothing if the record is not a message.
func (k *worker) gather(r *reader, rec *backplane.Record) error {
	// One copy for all entries: the record's bytes are only lent.
	own := k.memory.copy(rec.Value, rec.Recipients)
	value, recipients := own[:len(rec.Value):len(rec.Value)], own[len(rec.Value):]
	m := &k.message
	if err := backplane.ParseMessage(value, m); err != nil {
		return err
	}
	if err := backplane.ValidUser(m.From); err != nil {
		return err
	}
	switch m.Kind {
	case backplane.KindMessage:
		return k.gatherMessage(r, rec, m, value, recipients)
	case backplane.KindErase:
		if backplane.PartitionOf(m.From, k.writer.n) == rec.Partition {
			r.batch.Erasures = append(r.batch.Erasures, Erasure{User: m.From, Offset: rec.Offset})
			k.entries++
		}
	}
	return nil
}

// gatherMessage adds an entry for each user of the partition.
func (k *worker) gatherMessage(r *reader, rec *backplane.Record, m *backplane.Message, value, recipients []byte) error {
	e := Entry{Offset: rec.Offset, Time: rec.Time, Value: value}
	if m.TTL > 0 {
		e.Expires = rec.Time + m.TTL
	}
	// The sender's conversations are with the recipients, everybody else's with the
	// sender. m.To is used again for the next record, so the list is copied.
	var sent, received [][]byte
	start := len(r.batch.Entries)
	for len(recipients) > 0 {
		user, rest, ok := backplane.NextRecipient(recipients)
		if !ok || backplane.ValidUser(user) != nil {
			clear(r.batch.Entries[start:])
			r.batch.Entries = r.batch.Entries[:start]
			return errBadRecipients
		}
		recipients = rest
		e.User = user
		if string(user) == string(m.From) {
			if sent == nil {
				sent = k.memory.list(len(m.To))
				for _, to := range m.To {
					if backplane.ValidUser(to) == nil {
						sent = append(sent, to)
					}
				}
			}
			e.Peers = sent
		} else {
			if received == nil {
				received = append(k.memory.list(1), m.From)
			}
			e.Peers = received
		}
		r.batch.Entries = append(r.batch.Entries, e)
	}
	added := len(r.batch.Entries) - start
	k.entries += added
	k.bytes += added * len(value)
	return nil
}

// memory is what gathered records are copied into: pieces for many of them, which are
// given up together when everything is written.
type memory struct {
	bytes []byte   // the rest of the piece
	peers [][]byte // the same for lists of users
}

// copy returns a copy of a and then b.
func (m *memory) copy(a, b []byte) []byte {
	n := len(a) + len(b)
	if n > len(m.bytes) {
		m.bytes = make([]byte, max(n, memoryBytes))
	}
	own := m.bytes[:n:n]
	m.bytes = m.bytes[n:]
	copy(own[copy(own, a):], b)
	return own
}

// list returns an empty list with room for n users.
func (m *memory) list(n int) [][]byte {
	if n > len(m.peers) {
		m.peers = make([][]byte, max(n, memoryPeers))
	}
	own := m.peers[:0:n]
	m.peers = m.peers[n:]
	return own
}
