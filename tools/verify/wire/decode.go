package wire

import "google.golang.org/protobuf/encoding/protowire"

// fields are those of one frame, or of a part of it, in either encoding. Each method
// takes a field by its name in JSON and its number in protobuf, returns its zero value
// if it is absent, and notes a finding if it has another type than asked for.
type fields interface {
	has(name string, number protowire.Number) bool
	text(name string, number protowire.Number) string
	texts(name string, number protowire.Number) []string
	number(name string, number protowire.Number) uint64
	flag(name string, number protowire.Number) bool

	// enum takes an enumeration, of which values has the names by their numbers; an empty
	// one cannot be given.
	enum(name string, number protowire.Number, values ...string) string

	// messageID takes 16 bytes, which are hexadecimal digits in JSON.
	messageID(name string, number protowire.Number) MessageID

	// body takes bytes that JSON has as text if they are, and in base64 otherwise.
	body(name string, number protowire.Number) []byte

	// part takes a part of the frame, which has no fields if it is absent.
	part(name string, number protowire.Number) fields
	parts(name string, number protowire.Number) []fields

	// stored takes the Message of a delivery, whose fields stand beside it in JSON.
	stored(number protowire.Number) fields

	// end notes what nobody has taken.
	end()
}

// decode makes a frame of a message of the server. The frame is nil if it has none
// that the protocol knows.
func decode(format Format, message []byte) (Frame, findings) {
	var found findings
	name, f := "", fields(nil)
	if format == JSON {
		name, f = jsonFrame(message, &found)
	} else {
		name, f = protoFrame(message, &found)
	}
	if f == nil {
		return nil, found
	}
	frame := decodeFrame(name, f)
	f.end()
	return frame, found
}

// frameNumbers are the members of oneof frame of a ServerFrame, by the type in JSON. A
// deliver has none.
var frameNumbers = map[string]protowire.Number{
	"welcome":      10,
	"ack":          11,
	"gap":          12,
	"heartbeat":    13,
	"pong":         14,
	"moved":        15,
	"error":        16,
	"history_page": 17,
}

func decodeFrame(name string, f fields) Frame {
	switch name {
	case "deliver":
		return &Deliver{Seq: f.number("seq", 1), Message: decodeMessage(f)}
	case "welcome":
		return decodeWelcome(f)
	case "ack":
		return &Ack{
			ID:        f.text("id", 1),
			Status:    Status(f.enum("status", 2, "", string(Stored), string(Rejected), string(Unknown))),
			Code:      f.text("code", 3),
			MessageID: f.messageID("message_id", 4),
			Time:      f.number("time", 5),
		}
	case "gap":
		return &Gap{
			From:   f.number("from_seq", 1),
			To:     f.number("to_seq", 2),
			Reason: f.text("reason", 3),
			After:  f.text("after", 4),
			Before: f.text("before", 5),
		}
	case "heartbeat":
		return &Heartbeat{Seq: f.number("seq", 1), Cursor: f.text("cursor", 2)}
	case "moved":
		return &Moved{
			URL:          f.text("url", 1),
			Node:         f.text("node", 2),
			MapVersion:   f.number("map_version", 3),
			RetryAfterMS: f.number("retry_after_ms", 4),
		}
	case "error":
		return &Error{Code: f.text("code", 1), Message: f.text("message", 2)}
	case "history_page":
		return decodePage(f)
	default:
		return &Pong{}
	}
}

func decodeWelcome(f fields) *Welcome {
	limits := f.part("limits", 7)
	w := &Welcome{
		Session:     f.text("session", 1),
		User:        f.text("user", 2),
		Node:        f.text("node", 3),
		MapVersion:  f.number("map_version", 4),
		Cursor:      f.text("cursor", 5),
		Resumed:     f.flag("resumed", 6),
		HeartbeatMS: f.number("heartbeat_ms", 8),
		Limits: Limits{
			BodyBytes:      limits.number("body_bytes", 1),
			Recipients:     limits.number("recipients", 2),
			QueueMessages:  limits.number("queue_messages", 3),
			QueueBytes:     limits.number("queue_bytes", 4),
			InFlight:       limits.number("in_flight", 5),
			SendsPerSecond: limits.number("sends_per_second", 6),
			PageMessages:   limits.number("page_messages", 7),
			StartMessages:  limits.number("start_messages", 8),
		},
	}
	limits.end()
	return w
}

func decodePage(f fields) *Page {
	p := &Page{
		ID:         f.text("id", 1),
		Code:       f.text("code", 2),
		After:      f.text("after", 4),
		Before:     f.text("before", 5),
		MoreAfter:  f.flag("more_after", 6),
		MoreBefore: f.flag("more_before", 7),
		Gone:       f.text("gone", 8),
	}
	for _, part := range f.parts("messages", 3) {
		p.Messages = append(p.Messages, decodeMessage(part))
		part.end()
	}
	return p
}

func decodeMessage(f fields) Message {
	m := Message{
		Self:   f.flag("self", 2),
		Cursor: f.text("cursor", 3),
		Time:   f.number("time", 4),
	}
	decodeStored(&m, f.stored(5))
	return m
}

// decodeStored decodes what a message has in common wherever it is shown.
func decodeStored(m *Message, s fields) {
	m.MessageID = s.messageID("message_id", 1)
	m.From = s.text("from", 2)
	m.To = s.texts("to", 3)
	m.ID = s.text("id", 4)
	m.Kind = Kind(s.enum("kind", 5, string(KindMessage), string(KindSignal)))
	m.Body = s.body("body", 6)
	m.TTL = s.number("ttl_ms", 7)
	s.end()
}
