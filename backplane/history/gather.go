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
	own := append(append(make([]byte, 0, len(rec.Value)+len(rec.Recipients)), rec.Value...), rec.Recipients...)
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
				for _, to := range m.To {
					if backplane.ValidUser(to) == nil {
						sent = append(sent, to)
					}
				}
			}
			e.Peers = sent
		} else {
			if received == nil {
				received = [][]byte{m.From}
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
