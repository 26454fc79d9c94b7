package codec

import (
	"encoding/hex"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/godwit-im/godwit/backplane"
)

// decodeJSON decodes an object whose members come in any order: it looks for the
// type, which our servers write first, and then reads from the start as that type.
func (f *ServerFrame) decodeJSON(payload []byte) *Error {
	r := &f.json
	r.reset(payload)
	var err *Error
	f.Type, err = r.serverType()
	if err != nil {
		return err
	}
	r.reset(payload)
	if err := r.object(f.member); err != nil {
		return err
	}
	return r.end()
}

// serverType reads an object up to its type.
func (r *jsonReader) serverType() (FrameType, *Error) {
	if err := r.token('{', "a frame is a JSON object"); err != nil {
		return 0, err
	}
	for r.kind() != '}' {
		name, err := r.string()
		if err != nil {
			return 0, err
		}
		if string(name) != "type" {
			if err := r.skip(); err != nil {
				return 0, err
			}
			continue
		}
		typ, err := r.string()
		if err != nil {
			return 0, err
		}
		for t := FrameWelcome; t <= FrameError; t++ {
			if string(typ) == t.String() {
				return t, nil
			}
		}
		return FrameUnknown, nil
	}
	return 0, refusal(CodeBadFrame, "type is missing")
}

// object reads an object. For each member it calls member, which must read or skip
// the value.
func (r *jsonReader) object(member func(name []byte) *Error) *Error {
	if err := r.token('{', "found no object where one belongs"); err != nil {
		return err
	}
	for r.kind() != '}' {
		name, err := r.string()
		if err != nil {
			return err
		}
		if err := member(name); err != nil {
			return err
		}
	}
	return r.token('}', "")
}

// member reads one member of a frame.
func (f *ServerFrame) member(name []byte) *Error {
	r := &f.json
	switch f.Type {
	case FrameDeliver:
		return f.Deliver.member(r, name)
	case FrameWelcome:
		return f.Welcome.member(r, name)
	case FrameAck:
		return f.Ack.member(r, name)
	case FrameGap:
		return f.Gap.member(r, name)
	case FrameHeartbeat:
		return f.Heartbeat.member(r, name)
	case FrameHistoryPage:
		return f.HistoryPage.member(r, name)
	case FrameMoved:
		return f.Moved.member(r, name)
	case FrameError:
		return f.Error.member(r, name)
	}
	return r.skip()
}

func (d *Deliver) member(r *jsonReader, name []byte) (err *Error) {
	switch string(name) {
	case "seq":
		d.Seq, err = r.uint()
	case "self":
		d.Self, err = r.bool()
	case "cursor":
		d.Cursor, err = r.string()
	case "time":
		d.Time, err = r.int()
	case "message_id":
		d.Message.MessageID, err = r.messageID()
	case "from":
		d.Message.From, err = r.string()
	case "to":
		d.Message.To, err = r.strings(d.Message.To[:0])
	case "id":
		d.Message.ID, err = r.string()
	case "kind":
		var kind []byte
		kind, err = r.string()
		d.Message.Kind = kindOf(kind)
	case "ttl_ms":
		d.Message.TTL, err = r.int()
	case "body":
		d.Message.Body, err = r.string()
	case "body_base64":
		var text []byte
		if text, err = r.string(); err != nil {
			return err
		}
		var ok bool
		if d.Message.Body, ok = r.base64(text); !ok {
			return refusal(CodeBadFrame, "body_base64 is not padded standard base64")
		}
	default:
		return r.skip()
	}
	return err
}

func (w *Welcome) member(r *jsonReader, name []byte) (err *Error) {
	switch string(name) {
	case "session":
		var text []byte
		if text, err = r.string(); err != nil {
			return err
		}
		w.Session, err = parseSessionID(text)
	case "user":
		w.User, err = r.text()
	case "node":
		w.Node, err = r.text()
	case "map_version":
		w.MapVersion, err = r.uint()
	case "cursor":
		w.Cursor, err = r.string()
	case "resumed":
		w.Resumed, err = r.bool()
	case "limits":
		return r.object(func(name []byte) *Error { return w.Limits.member(r, name) })
	case "heartbeat_ms":
		w.Heartbeat, err = r.millis()
	default:
		return r.skip()
	}
	return err
}

func (l *SessionLimits) member(r *jsonReader, name []byte) *Error {
	var at *uint32
	switch string(name) {
	case "body_bytes":
		at = &l.BodyBytes
	case "recipients":
		at = &l.Recipients
	case "queue_messages":
		at = &l.QueueMessages
	case "queue_bytes":
		at = &l.QueueBytes
	case "in_flight":
		at = &l.InFlight
	case "sends_per_second":
		at = &l.SendsPerSecond
	case "page_messages":
		at = &l.PageMessages
	case "start_messages":
		at = &l.StartMessages
	default:
		return r.skip()
	}
	v, err := r.uint()
	*at = uint32(v)
	return err
}

func (a *Ack) member(r *jsonReader, name []byte) (err *Error) {
	var text []byte
	switch string(name) {
	case "id":
		a.ID, err = r.string()
	case "status":
		text, err = r.string()
		a.Status = statusOf(text)
	case "code":
		text, err = r.string()
		a.Code = codeOf(text)
	case "message_id":
		a.MessageID, err = r.messageID()
	case "time":
		a.Time, err = r.int()
	default:
		return r.skip()
	}
	return err
}

func (g *Gap) member(r *jsonReader, name []byte) (err *Error) {
	switch string(name) {
	case "from_seq":
		g.FromSeq, err = r.uint()
	case "to_seq":
		g.ToSeq, err = r.uint()
	case "reason":
		var text []byte
		text, err = r.string()
		g.Reason = reasonOf(text)
	case "after":
		g.After, err = r.string()
	case "before":
		g.Before, err = r.string()
	default:
		return r.skip()
	}
	return err
}

func (h *Heartbeat) member(r *jsonReader, name []byte) (err *Error) {
	switch string(name) {
	case "seq":
		h.Seq, err = r.uint()
	case "cursor":
		h.Cursor, err = r.string()
	default:
		return r.skip()
	}
	return err
}

func (m *Moved) member(r *jsonReader, name []byte) (err *Error) {
	switch string(name) {
	case "url":
		m.URL, err = r.text()
	case "node":
		m.Node, err = r.text()
	case "map_version":
		m.MapVersion, err = r.uint()
	case "retry_after_ms":
		m.RetryAfter, err = r.millis()
	default:
		return r.skip()
	}
	return err
}

func (e *ErrorFrame) member(r *jsonReader, name []byte) (err *Error) {
	switch string(name) {
	case "code":
		var text []byte
		text, err = r.string()
		e.Code = codeOf(text)
	case "message":
		e.Message, err = r.text()
	default:
		return r.skip()
	}
	return err
}

// text reads a string into memory of its own.
func (r *jsonReader) text() (string, *Error) {
	b, err := r.string()
	return string(b), err
}

// strings reads an array of strings and appends them to dst.
func (r *jsonReader) strings(dst [][]byte) ([][]byte, *Error) {
	if err := r.token('[', "found no array where one belongs"); err != nil {
		return dst, err
	}
	for r.kind() != ']' {
		s, err := r.string()
		if err != nil {
			return dst, err
		}
		dst = append(dst, s)
	}
	return dst, r.token(']', "")
}

// bool reads true or false.
func (r *jsonReader) bool() (bool, *Error) {
	k := r.kind()
	if k != 't' && k != 'f' && k != 0 {
		return false, refusal(CodeBadFrame, "found "+k.String()+" in place of true or false")
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return false, badJSON(err)
	}
	return k == jsontext.Kind('t'), nil
}

// uint reads a whole number that is not negative.
func (r *jsonReader) uint() (uint64, *Error) {
	text, err := r.number()
	if err != nil {
		return 0, err
	}
	v, bad := strconv.ParseUint(string(text), 10, 64)
	if bad != nil {
		return 0, refusal(CodeBadFrame, "found "+string(text)+" in place of a whole number")
	}
	return v, nil
}

// int reads a whole number.
func (r *jsonReader) int() (int64, *Error) {
	text, err := r.number()
	if err != nil {
		return 0, err
	}
	v, bad := strconv.ParseInt(string(text), 10, 64)
	if bad != nil {
		return 0, refusal(CodeBadFrame, "found "+string(text)+" in place of a whole number")
	}
	return v, nil
}

// millis reads a number of milliseconds.
func (r *jsonReader) millis() (time.Duration, *Error) {
	v, err := r.uint()
	return duration(v), err
}

// messageID reads 32 hexadecimal digits.
func (r *jsonReader) messageID() (id backplane.MessageID, err *Error) {
	text, err := r.string()
	if err != nil {
		return id, err
	}
	if len(text) == hex.EncodedLen(len(id)) {
		if _, bad := hex.Decode(id[:], text); bad == nil {
			return id, nil
		}
	}
	return id, refusal(CodeBadFrame, "message_id has not 32 hexadecimal digits")
}
