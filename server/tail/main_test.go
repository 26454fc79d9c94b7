package tail

import (
	"encoding/binary"
	"math"
	"testing"

	"go.uber.org/goleak"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// windowMS is W in milliseconds.
const windowMS = int64(backplane.DuplicateWindow / 1e6)

// sample is a message with its record.
type sample struct {
	*backplane.Record
	*backplane.Message
}

// newSample returns a record of partition 0 that concerns users, one of whom may be from.
func newSample(offset, time int64, from string, to []string, users ...string) sample {
	m := &backplane.Message{From: []byte(from), ID: []byte("id"), Body: []byte("body")}
	binary.BigEndian.PutUint64(m.MessageID[:], uint64(offset))
	for _, u := range to {
		m.To = append(m.To, []byte(u))
	}
	r := &backplane.Record{Position: backplane.Position{Offset: offset}, Time: time}
	for _, u := range users {
		r.Recipients = backplane.AppendRecipient(r.Recipients, []byte(u))
	}
	s := sample{r, m}
	s.encode()
	return s
}

// encode makes the value again after a change of the message.
func (s *sample) encode() { s.Value = backplane.AppendMessage(nil, s.Message) }

// simple returns a record by which somebody else writes to users.
func simple(offset int64, users ...string) sample {
	return newSample(offset, 1000*offset, "somebody", users, users...)
}

func add(t *Tail, samples ...sample) {
	for _, s := range samples {
		t.Append(s.Record, s.Message)
	}
}

// all is the query for everything of a user.
func all(user string) *history.Query {
	return &history.Query{User: []byte(user), After: -1, Before: math.MaxInt64, Limit: math.MaxInt, Bytes: math.MaxInt}
}

func offsets(p history.Page) []int64 {
	list := []int64{}
	for _, e := range p.Entries {
		list = append(list, e.Offset)
	}
	return list
}

// read returns the offsets of everything that a tail has for a user.
func read(t *Tail, user string) []int64 {
	p, _, _ := t.Read(all(user))
	return offsets(p)
}
