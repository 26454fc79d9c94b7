package backplane

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// Kind says how a message is to be treated.
type Kind uint8

const (
	// KindMessage is an ordinary message: it stays in the timelines of its users.
	KindMessage Kind = 0
	// KindSignal is news of the moment (typing, presence): delivered to who is
	// there, and forgotten.
	KindSignal Kind = 1
	// KindErase hides everything that stands before it in the timeline of the user
	// whom it is from. Operators send it, no client can, and it is never delivered.
	KindErase Kind = 2
)

// Valid reports whether k is a kind that a client may send.
func (k Kind) Valid() bool { return k <= KindSignal }

// Message is what users send each other. Its byte slices may alias the buffer
// that it was parsed from.
type Message struct {
	MessageID MessageID
	From      []byte
	To        [][]byte
	ID        []byte // the client's own id for the send
	Kind      Kind
	// TTL is how many milliseconds after its log time the message is hidden; 0 is never.
	TTL  int64
	Body []byte
}

// Expired reports whether a message of log time logTime is hidden at time now, both in
// Unix milliseconds.
func (m *Message) Expired(logTime, now int64) bool { return m.TTL > 0 && now-logTime >= m.TTL }

// The field numbers of Message in codec/godwit.proto. The body is last, so that
// a message without its body is a prefix of the message.
const (
	fieldMessageID = 1
	fieldFrom      = 2
	fieldTo        = 3
	fieldID        = 4
	fieldKind      = 5
	fieldBody      = 6
	fieldTTL       = 7
)

// MessageID is the key by which duplicates are known: it is the same on every
// retry of a send, and different for everything else.
type MessageID [16]byte

// Identify returns the id of a message that user from sends from device (or,
// without a device name, from the session whose id stands in for it): the first
// 16 bytes of SHA-256 over from, device, id, to, kind and body. Each is preceded
// by its length as a big-endian uint32; to is its count, then its members in
// order; kind is one byte.
//
// A cryptographic hash, because with a weaker one a user could make a message
// that suppresses another user's as its duplicate.
//
// It does not allocate: the compiler sees through sha256.New and keeps the hash on
// the stack.
func Identify(device []byte, m *Message) MessageID {
	h := sha256.New()
	part := func(p []byte) {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(p)))
		h.Write(n[:])
		h.Write(p)
	}
	part(m.From)
	part(device)
	part(m.ID)
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(m.To)))
	h.Write(n[:])
	for _, u := range m.To {
		part(u)
	}
	part([]byte{byte(m.Kind)})
	part(m.Body)
	var sum [sha256.Size]byte
	return MessageID(h.Sum(sum[:0])[:16])
}

// AppendMessage appends the encoding of m, the protobuf of Message in
// codec/godwit.proto with its fields in order of their numbers, but the body
// last. These bytes are the value of the records in the log.
func AppendMessage(dst []byte, m *Message) []byte {
	dst = AppendHead(dst, m)
	if len(m.Body) > 0 {
		dst = protowire.AppendTag(dst, fieldBody, protowire.BytesType)
		dst = protowire.AppendBytes(dst, m.Body)
	}
	return dst
}

// AppendHead appends the encoding of m without its body.
func AppendHead(dst []byte, m *Message) []byte {
	dst = protowire.AppendTag(dst, fieldMessageID, protowire.BytesType)
	dst = protowire.AppendBytes(dst, m.MessageID[:])
	dst = protowire.AppendTag(dst, fieldFrom, protowire.BytesType)
	dst = protowire.AppendBytes(dst, m.From)
	for _, u := range m.To {
		dst = protowire.AppendTag(dst, fieldTo, protowire.BytesType)
		dst = protowire.AppendBytes(dst, u)
	}
	dst = protowire.AppendTag(dst, fieldID, protowire.BytesType)
	dst = protowire.AppendBytes(dst, m.ID)
	if m.Kind != KindMessage {
		dst = protowire.AppendTag(dst, fieldKind, protowire.VarintType)
		dst = protowire.AppendVarint(dst, uint64(m.Kind))
	}
	if m.TTL > 0 {
		dst = protowire.AppendTag(dst, fieldTTL, protowire.VarintType)
		dst = protowire.AppendVarint(dst, uint64(m.TTL))
	}
	return dst
}

// ErrBadMessage is the error for bytes that are not an encoded Message.
var ErrBadMessage = errors.New("backplane: not an encoded message")

// ParseMessage decodes b into m, whose slices then alias b. The backing array of
// m.To is used again. Unknown fields are skipped: a newer version may have
// written them.
func ParseMessage(b []byte, m *Message) error {
	*m = Message{To: m.To[:0]}
	seenID := false
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return ErrBadMessage
		}
		b = b[n:]
		if (num == fieldKind || num == fieldTTL) && typ == protowire.VarintType {
			v, n := protowire.ConsumeVarint(b)
			if n < 0 || num == fieldKind && v > 255 || v > MaxTTL {
				return ErrBadMessage
			}
			if num == fieldKind {
				m.Kind = Kind(v)
			} else {
				m.TTL = int64(v)
			}
			b = b[n:]
			continue
		}
		if typ != protowire.BytesType {
			n := protowire.ConsumeFieldValue(num, typ, b)
			if n < 0 {
				return ErrBadMessage
			}
			b = b[n:]
			continue
		}
		v, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return ErrBadMessage
		}
		b = b[n:]
		switch num {
		case fieldMessageID:
			if len(v) != len(m.MessageID) {
				return ErrBadMessage
			}
			m.MessageID = MessageID(v)
			seenID = true
		case fieldFrom:
			m.From = v
		case fieldTo:
			m.To = append(m.To, v)
		case fieldID:
			m.ID = v
		case fieldBody:
			m.Body = v
		}
	}
	if !seenID {
		return ErrBadMessage
	}
	return nil
}

// ParseMessageID returns the message id of an encoded Message, without looking at
// the rest: AppendMessage writes it first.
func ParseMessageID(b []byte) (MessageID, error) {
	if len(b) < 18 || b[0] != fieldMessageID<<3|byte(protowire.BytesType) || b[1] != 16 {
		return MessageID{}, ErrBadMessage
	}
	return MessageID(b[2:18]), nil
}

// CutBody splits an encoded Message around its body field: before and after
// together are the message without its body. Fields that this version does not
// know stay. Bytes that are not an encoded Message come back whole in before.
func CutBody(value []byte) (before, after []byte) {
	for at := 0; at < len(value); {
		num, typ, n := protowire.ConsumeTag(value[at:])
		if n < 0 {
			break
		}
		m := protowire.ConsumeFieldValue(num, typ, value[at+n:])
		if m < 0 {
			break
		}
		if num == fieldBody && typ == protowire.BytesType {
			return value[:at], value[at+n+m:]
		}
		at += n + m
	}
	return value, nil
}
