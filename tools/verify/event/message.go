package event

import (
	"encoding/hex"
	"errors"
	"hash/fnv"
)

// MessageID is a message's id by the rule of the protocol, 32 hexadecimal digits in the
// file.
type MessageID [16]byte

// MarshalText returns the hexadecimal digits.
func (id MessageID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText is the reverse of MarshalText.
func (id *MessageID) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(id)) {
		return errors.New("a message id has 32 hexadecimal digits")
	}
	_, err := hex.Decode(id[:], text)
	return err
}

// String returns the hexadecimal digits.
func (id MessageID) String() string { return hex.EncodeToString(id[:]) }

// BodySum tells bodies apart: FNV-1a of 64 bits, as 16 hexadecimal digits. It is empty
// where no body came, which is not the sum of an empty body.
type BodySum string

// SumOf returns the sum of a body.
func SumOf(body []byte) BodySum {
	h := fnv.New64a()
	h.Write(body)
	return BodySum(hex.EncodeToString(h.Sum(nil)))
}

// Kind is how a message is to be treated.
type Kind string

// The kinds of messages.
const (
	Ordinary Kind = "message"
	Signal   Kind = "signal"
)

// Message is a message as somebody was shown it.
type Message struct {
	MessageID MessageID `json:"message_id"`
	From      string    `json:"from"`
	To        []string  `json:"to"`
	ID        string    `json:"id"` // the sender's own
	Kind      Kind      `json:"kind"`
	TTL       int64     `json:"ttl_ms,omitempty"`
	BodySum   BodySum   `json:"body_sum,omitempty"`
}

// Send says that a device is about to send a message. It is written before the first
// byte goes out, so that no event that follows from it can stand before it. Exactly one
// Ack, Nack or Unknown follows, before the device sends the same id again.
//
// A client that retries by itself writes a Send before the first attempt, and what it
// concluded after the last.
type Send struct {
	Conn uint64 `json:"conn"` // the device's latest connection
	ID   string `json:"id"`
	// MessageID is what the id must become, computed by the rule of the protocol.
	MessageID MessageID `json:"message_id"`
	To        []string  `json:"to"`
	Kind      Kind      `json:"kind"`
	TTL       int64     `json:"ttl_ms,omitempty"`
	Bytes     int       `json:"bytes"` // of the body
	BodySum   BodySum   `json:"body_sum"`
	Attempt   int       `json:"attempt"` // from 1
}

// Ack says that the server answered a send by stored.
type Ack struct {
	Conn      uint64    `json:"conn"`
	ID        string    `json:"id"`
	MessageID MessageID `json:"message_id"` // as the server told it
	Time      int64     `json:"time"`       // of the log, in Unix milliseconds
}

// Nack says that the server answered a send by rejected.
type Nack struct {
	Conn uint64 `json:"conn"`
	ID   string `json:"id"`
	Code string `json:"code"`
}

// Unknown says that nobody can tell what became of a send: the server said so, or no
// answer came.
type Unknown struct {
	Conn uint64 `json:"conn"`
	ID   string `json:"id"`
	Why  string `json:"why"`
}
