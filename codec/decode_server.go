package codec

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/godwit-im/godwit/backplane"
)

// DecodeServer decodes payload, the complete payload of one WebSocket message from
// a server, into f, for clients. It uses the memory of f again: see ServerFrame.
//
// It skips fields that it does not know, and gives a frame of a type that it does
// not know as FrameUnknown, because the server may be newer. The error, an *Error
// with CodeBadFrame, means that payload is no frame of any version.
//
// One goroutine at a time may use f.
func DecodeServer(enc Encoding, payload []byte, f *ServerFrame) error {
	f.clear()
	var err *Error
	if enc == Proto {
		err = f.decodeProto(payload)
	} else {
		err = f.decodeJSON(payload)
	}
	if err != nil {
		f.clear()
		return err
	}
	return nil
}

// clear resets f but keeps its memory.
func (f *ServerFrame) clear() {
	to, messages := f.Deliver.Message.To[:0], f.HistoryPage.Messages[:0]
	f.Type = FrameUnknown
	f.Deliver = Deliver{Message: backplane.Message{To: to}}
	f.Welcome = Welcome{}
	f.Ack = Ack{}
	f.Gap = Gap{}
	f.Heartbeat = Heartbeat{}
	f.HistoryPage = HistoryPage{Messages: messages}
	f.Moved = Moved{}
	f.Error = ErrorFrame{}
}

// eachField calls set for each field of a protobuf message that has a varint or a
// length-delimited value, v or b. Others are skipped: no field of ours has them.
func eachField(p []byte, set func(num protowire.Number, v uint64, b []byte) *Error) *Error {
	for len(p) > 0 {
		num, typ, n := protowire.ConsumeTag(p)
		if n < 0 {
			return badProto(n)
		}
		p = p[n:]
		var v uint64
		var b []byte
		switch typ {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(p)
		case protowire.BytesType:
			b, n = protowire.ConsumeBytes(p)
		default:
			n = protowire.ConsumeFieldValue(num, typ, p)
			num = 0
		}
		if n < 0 {
			return badProto(n)
		}
		p = p[n:]
		if num == 0 {
			continue
		}
		if err := set(num, v, b); err != nil {
			return err
		}
	}
	return nil
}

func (f *ServerFrame) decodeProto(payload []byte) *Error {
	return eachField(payload, func(num protowire.Number, v uint64, b []byte) *Error {
		switch num {
		case fieldServerMessage:
			f.Type = FrameDeliver
			return f.Deliver.setProto(num, v, b)
		case fieldServerWelcome:
			f.Type = FrameWelcome
			return f.Welcome.decodeProto(b)
		case fieldServerAck:
			f.Type = FrameAck
			return f.Ack.decodeProto(b)
		case fieldServerGap:
			f.Type = FrameGap
			return f.Gap.decodeProto(b)
		case fieldServerHeartbeat:
			f.Type = FrameHeartbeat
			return f.Heartbeat.decodeProto(b)
		case fieldServerHistoryPage:
			f.Type = FrameHistoryPage
			return f.HistoryPage.decodeProto(b)
		case fieldServerPong:
			f.Type = FramePong
		case fieldServerMoved:
			f.Type = FrameMoved
			return f.Moved.decodeProto(b)
		case fieldServerError:
			f.Type = FrameError
			return f.Error.decodeProto(b)
		}
		return f.Deliver.setProto(num, v, b)
	})
}

// setProto takes a field of a delivery: of a ServerFrame, or of a Delivery in a page,
// which has the same.
func (d *Deliver) setProto(num protowire.Number, v uint64, b []byte) *Error {
	switch num {
	case fieldServerSeq:
		d.Seq = v
	case fieldServerSelf:
		d.Self = v != 0
	case fieldServerCursor:
		d.Cursor = b
	case fieldServerTime:
		d.Time = int64(v)
	case fieldServerMessage:
		if err := backplane.ParseMessage(b, &d.Message); err != nil {
			return refusal(CodeBadFrame, err.Error())
		}
	}
	return nil
}

func (w *Welcome) decodeProto(p []byte) *Error {
	return eachField(p, func(num protowire.Number, v uint64, b []byte) *Error {
		switch num {
		case fieldWelcomeSession:
			var err *Error
			w.Session, err = parseSessionID(b)
			return err
		case fieldWelcomeUser:
			w.User = string(b)
		case fieldWelcomeNode:
			w.Node = string(b)
		case fieldWelcomeMapVersion:
			w.MapVersion = v
		case fieldWelcomeCursor:
			w.Cursor = b
		case fieldWelcomeResumed:
			w.Resumed = v != 0
		case fieldWelcomeLimits:
			return w.Limits.decodeProto(b)
		case fieldWelcomeHeartbeat:
			w.Heartbeat = duration(v)
		}
		return nil
	})
}

func (l *SessionLimits) decodeProto(p []byte) *Error {
	return eachField(p, func(num protowire.Number, v uint64, _ []byte) *Error {
		if at := l.field(num); at != nil {
			*at = uint32(v)
		}
		return nil
	})
}

// field returns the limit with a field number, nil if there is none.
func (l *SessionLimits) field(num protowire.Number) *uint32 {
	switch num {
	case fieldLimitsBodyBytes:
		return &l.BodyBytes
	case fieldLimitsRecipients:
		return &l.Recipients
	case fieldLimitsQueueMessages:
		return &l.QueueMessages
	case fieldLimitsQueueBytes:
		return &l.QueueBytes
	case fieldLimitsInFlight:
		return &l.InFlight
	case fieldLimitsSendsPerSecond:
		return &l.SendsPerSecond
	case fieldLimitsPageMessages:
		return &l.PageMessages
	case fieldLimitsStartMessages:
		return &l.StartMessages
	}
	return nil
}

func (a *Ack) decodeProto(p []byte) *Error {
	return eachField(p, func(num protowire.Number, v uint64, b []byte) *Error {
		switch num {
		case fieldAckID:
			a.ID = b
		case fieldAckStatus:
			a.Status = backplane.Unknown
			if v == uint64(backplane.Stored) || v == uint64(backplane.Rejected) {
				a.Status = backplane.Status(v)
			}
		case fieldAckCode:
			a.Code = codeOf(b)
		case fieldAckMessageID:
			if len(b) != len(a.MessageID) {
				return refusal(CodeBadFrame, "message_id has not 16 bytes")
			}
			a.MessageID = backplane.MessageID(b)
		case fieldAckTime:
			a.Time = int64(v)
		}
		return nil
	})
}

func (g *Gap) decodeProto(p []byte) *Error {
	return eachField(p, func(num protowire.Number, v uint64, b []byte) *Error {
		switch num {
		case fieldGapFromSeq:
			g.FromSeq = v
		case fieldGapToSeq:
			g.ToSeq = v
		case fieldGapReason:
			g.Reason = reasonOf(b)
		case fieldGapAfter:
			g.After = b
		case fieldGapBefore:
			g.Before = b
		}
		return nil
	})
}

func (h *Heartbeat) decodeProto(p []byte) *Error {
	return eachField(p, func(num protowire.Number, v uint64, b []byte) *Error {
		switch num {
		case fieldHeartbeatSeq:
			h.Seq = v
		case fieldHeartbeatCursor:
			h.Cursor = b
		}
		return nil
	})
}

func (m *Moved) decodeProto(p []byte) *Error {
	return eachField(p, func(num protowire.Number, v uint64, b []byte) *Error {
		switch num {
		case fieldMovedURL:
			m.URL = string(b)
		case fieldMovedNode:
			m.Node = string(b)
		case fieldMovedMapVersion:
			m.MapVersion = v
		case fieldMovedRetryAfter:
			m.RetryAfter = duration(v)
		}
		return nil
	})
}

func (e *ErrorFrame) decodeProto(p []byte) *Error {
	return eachField(p, func(num protowire.Number, _ uint64, b []byte) *Error {
		switch num {
		case fieldErrorCode:
			e.Code = codeOf(b)
		case fieldErrorMessage:
			e.Message = string(b)
		}
		return nil
	})
}

// duration returns a number of milliseconds of the wire, where it is a uint32.
func duration(ms uint64) time.Duration { return time.Duration(uint32(ms)) * time.Millisecond }

// parseSessionID returns the session's id that AppendSessionID wrote.
func parseSessionID(text []byte) (uint64, *Error) {
	if len(text) != sessionDigits {
		return 0, refusal(CodeBadFrame, "session has not 16 digits")
	}
	var id uint64
	for _, c := range text {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		default:
			return 0, refusal(CodeBadFrame, "session is not hexadecimal")
		}
		id = id<<4 | uint64(c)
	}
	return id, nil
}
