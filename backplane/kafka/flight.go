package kafka

import (
	"bytes"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec/buffer"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/bytebufferpool"
	"google.golang.org/protobuf/encoding/protowire"
)

// flight is a send on its way to the log: its records, the one buffer that they
// share, and what is known of its outcome. Flights are pooled by their Producer.
type flight struct {
	producer *Producer // static

	// Set by plan and fill, before the records are handed on.
	id      backplane.MessageID
	records []*record // one for each distinct partition; the sender's first
	bytes   int64     // what the records count for
	buffer  *bytebufferpool.ByteBuffer
	users   []user // scratch

	// Owned by the goroutine that calls promises.
	left    int // records whose promise has not fired
	stored  int
	refused int
	code    backplane.Code // of the first record that was not stored
	timeout bool           // some record's outcome is unknown for want of an answer
	time    int64          // log time of the sender's record, once stored

	// Guarded by flights.mu.
	waiting, lastWaiting *waiting
}

// user is a user of a send, and the index of the record that is for it; -1 if
// an earlier one is the same user.
type user struct {
	id     []byte
	record int
}

// record is one record of a flight.
type record struct {
	kgo.Record
	headers   [2]kgo.RecordHeader
	promise   func(*kgo.Record, error) // settle, bound once
	flight    *flight
	partition int32
	doubts    uint32 // wire.doubts when it was handed on
	listBytes int    // the length of its list of recipients
}

// plan finds the partitions of s and how much its records count for. It copies
// nothing of s, and keeps references into it only until fill.
func (f *flight) plan(s *backplane.Send, n int32) {
	f.id = s.ID
	f.addUser(s.From, n)
	for _, to := range s.To {
		f.addUser(to, n)
	}
	f.left = len(f.records)
	for _, r := range f.records {
		f.bytes += int64(len(s.Value) + len(backplane.HeaderRecipients) + r.listBytes)
		if s.Session != 0 {
			f.bytes += int64(len(backplane.HeaderSession) + 8)
		}
	}
}

// addUser counts a user in with the record of its partition.
func (f *flight) addUser(id []byte, n int32) {
	partition := int32(backplane.PartitionOf(id, n))
	record := -1
	for i, r := range f.records {
		if r.partition == partition {
			record = i
			break
		}
	}
	if record < 0 {
		record = len(f.records)
		f.records = append(f.records, f.producer.newRecord(f, partition))
	} else {
		for _, u := range f.users {
			if u.record == record && bytes.Equal(u.id, id) {
				return // already there: the sender to itself, or a user named twice
			}
		}
	}
	f.records[record].listBytes += protowire.SizeBytes(len(id))
	f.users = append(f.users, user{id, record})
}

// fill copies what the records need of s into one buffer (the value, the
// session, and each record's recipients) and makes the records refer to it.
func (f *flight) fill(s *backplane.Send) {
	size := len(s.Value) + 8
	for _, r := range f.records {
		size += r.listBytes
	}
	f.buffer = buffer.Take(size)
	b := append(f.buffer.B, s.Value...)
	if s.Session != 0 {
		b = backplane.AppendSession(b, s.Session)
	}
	for i := range f.records {
		for _, u := range f.users {
			if u.record == i {
				b = backplane.AppendRecipient(b, u.id)
			}
		}
	}
	f.buffer.B = b

	// From here on b does not move.
	value, rest := b[:len(s.Value):len(s.Value)], b[len(s.Value):]
	var session []byte
	if s.Session != 0 {
		session, rest = rest[:8:8], rest[8:]
	}
	for _, r := range f.records {
		r.Record = kgo.Record{Partition: r.partition, Value: value}
		r.headers[0] = kgo.RecordHeader{Key: backplane.HeaderRecipients, Value: rest[:r.listBytes:r.listBytes]}
		r.Headers = r.headers[:1]
		if session != nil {
			r.headers[1] = kgo.RecordHeader{Key: backplane.HeaderSession, Value: session}
			r.Headers = r.headers[:2]
		}
		rest = rest[r.listBytes:]
	}
	clear(f.users)
	f.users = f.users[:0]
}

// settle is the promise of a record. It is called by the client's promise
// goroutine, one at a time for the whole Producer; the last one of a flight
// decides its outcome. When it returns, the client does not touch the record any
// more, and does not read the buffer from the moment that it fails a record: the
// batches of a request that is still to be written lose their records first.
func (r *record) settle(_ *kgo.Record, err error) {
	f := r.flight
	wire := f.producer.wire
	status, code := verdictOf(err, err == nil || wire.clean(r.partition, r.doubts))
	switch status {
	case backplane.Stored:
		f.stored++
		time, ok := wire.claim(r.partition, r.Offset)
		if !ok {
			time = r.Timestamp.UnixMilli()
		}
		if r == f.records[0] {
			f.time = time
		}
	case backplane.Rejected:
		f.refused++
	case backplane.Unknown:
		f.timeout = f.timeout || code == backplane.CodeTimeout
	}
	if err != nil {
		f.producer.counts.failed(err)
		if f.code == "" {
			f.code = code
		}
	}
	f.left--
	if f.left == 0 {
		f.producer.landed(f)
	}
}

// outcome returns what all records together mean. A send is rejected only if
// every record of it was: when one is refused and another stored, the message is
// in some timelines, and a retry must find the same id.
func (f *flight) outcome() backplane.Outcome {
	switch n := len(f.records); {
	case f.stored == n:
		return backplane.Outcome{Status: backplane.Stored, Time: f.time}
	case f.refused == n:
		return backplane.Outcome{Status: backplane.Rejected, Code: f.code}
	case f.timeout:
		return backplane.Outcome{Status: backplane.Unknown, Code: backplane.CodeTimeout}
	default:
		return backplane.Outcome{Status: backplane.Unknown, Code: backplane.CodeUnavailable}
	}
}
