package codec

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/godwit-im/godwit/backplane"
)

// The field numbers of ServerFrame and of the frames in it, from godwit.proto.
const (
	fieldServerSeq         protowire.Number = 1
	fieldServerSelf        protowire.Number = 2
	fieldServerCursor      protowire.Number = 3
	fieldServerTime        protowire.Number = 4
	fieldServerMessage     protowire.Number = 5
	fieldServerWelcome     protowire.Number = 10
	fieldServerAck         protowire.Number = 11
	fieldServerGap         protowire.Number = 12
	fieldServerHeartbeat   protowire.Number = 13
	fieldServerPong        protowire.Number = 14
	fieldServerMoved       protowire.Number = 15
	fieldServerError       protowire.Number = 16
	fieldServerHistoryPage protowire.Number = 17

	fieldWelcomeSession    protowire.Number = 1
	fieldWelcomeUser       protowire.Number = 2
	fieldWelcomeNode       protowire.Number = 3
	fieldWelcomeMapVersion protowire.Number = 4
	fieldWelcomeCursor     protowire.Number = 5
	fieldWelcomeResumed    protowire.Number = 6
	fieldWelcomeLimits     protowire.Number = 7
	fieldWelcomeHeartbeat  protowire.Number = 8

	fieldLimitsBodyBytes      protowire.Number = 1
	fieldLimitsRecipients     protowire.Number = 2
	fieldLimitsQueueMessages  protowire.Number = 3
	fieldLimitsQueueBytes     protowire.Number = 4
	fieldLimitsInFlight       protowire.Number = 5
	fieldLimitsSendsPerSecond protowire.Number = 6
	fieldLimitsPageMessages   protowire.Number = 7
	fieldLimitsStartMessages  protowire.Number = 8

	fieldAckID        protowire.Number = 1
	fieldAckStatus    protowire.Number = 2
	fieldAckCode      protowire.Number = 3
	fieldAckMessageID protowire.Number = 4
	fieldAckTime      protowire.Number = 5

	fieldGapFromSeq protowire.Number = 1
	fieldGapToSeq   protowire.Number = 2
	fieldGapReason  protowire.Number = 3
	fieldGapAfter   protowire.Number = 4
	fieldGapBefore  protowire.Number = 5

	fieldHeartbeatSeq    protowire.Number = 1
	fieldHeartbeatCursor protowire.Number = 2

	fieldMovedURL        protowire.Number = 1
	fieldMovedNode       protowire.Number = 2
	fieldMovedMapVersion protowire.Number = 3
	fieldMovedRetryAfter protowire.Number = 4

	fieldErrorCode    protowire.Number = 1
	fieldErrorMessage protowire.Number = 2
)

// The Append functions below append one complete frame, the payload of one
// WebSocket message. Any goroutine may call them. They allocate only when dst is
// too small.

// AppendWelcome appends a welcome.
func AppendWelcome(dst []byte, enc Encoding, w *Welcome) []byte {
	var buf [sessionDigits]byte
	session := AppendSessionID(buf[:0], w.Session)
	if enc == Proto {
		mark := len(dst)
		dst = protoBytes(dst, fieldWelcomeSession, session)
		dst = protoBytes(dst, fieldWelcomeUser, w.User)
		dst = protoBytes(dst, fieldWelcomeNode, w.Node)
		dst = protoUint(dst, fieldWelcomeMapVersion, w.MapVersion)
		dst = protoBytes(dst, fieldWelcomeCursor, w.Cursor)
		dst = protoBool(dst, fieldWelcomeResumed, w.Resumed)
		dst = protoLimits(dst, &w.Limits)
		dst = protoUint(dst, fieldWelcomeHeartbeat, millis(w.Heartbeat))
		return wrap(dst, mark, fieldServerWelcome)
	}
	dst = jsonOpen(dst, FrameWelcome)
	dst = jsonString(dst, "session", session)
	dst = jsonString(dst, "user", w.User)
	dst = jsonString(dst, "node", w.Node)
	dst = jsonUint(dst, "map_version", w.MapVersion)
	if len(w.Cursor) > 0 {
		dst = jsonString(dst, "cursor", w.Cursor)
	}
	dst = jsonBool(dst, "resumed", w.Resumed)
	dst = append(jsonName(dst, "limits"), '{')
	dst = jsonUint(dst, "body_bytes", uint64(w.Limits.BodyBytes))
	dst = jsonUint(dst, "recipients", uint64(w.Limits.Recipients))
	dst = jsonUint(dst, "queue_messages", uint64(w.Limits.QueueMessages))
	dst = jsonUint(dst, "queue_bytes", uint64(w.Limits.QueueBytes))
	dst = jsonUint(dst, "in_flight", uint64(w.Limits.InFlight))
	dst = jsonUint(dst, "sends_per_second", uint64(w.Limits.SendsPerSecond))
	dst = jsonUint(dst, "page_messages", uint64(w.Limits.PageMessages))
	dst = jsonUint(dst, "start_messages", uint64(w.Limits.StartMessages))
	dst = append(dst, '}')
	dst = jsonUint(dst, "heartbeat_ms", millis(w.Heartbeat))
	return append(dst, '}')
}

func protoLimits(dst []byte, l *SessionLimits) []byte {
	mark := len(dst)
	dst = protoUint(dst, fieldLimitsBodyBytes, uint64(l.BodyBytes))
	dst = protoUint(dst, fieldLimitsRecipients, uint64(l.Recipients))
	dst = protoUint(dst, fieldLimitsQueueMessages, uint64(l.QueueMessages))
	dst = protoUint(dst, fieldLimitsQueueBytes, uint64(l.QueueBytes))
	dst = protoUint(dst, fieldLimitsInFlight, uint64(l.InFlight))
	dst = protoUint(dst, fieldLimitsSendsPerSecond, uint64(l.SendsPerSecond))
	dst = protoUint(dst, fieldLimitsPageMessages, uint64(l.PageMessages))
	dst = protoUint(dst, fieldLimitsStartMessages, uint64(l.StartMessages))
	return wrap(dst, mark, fieldWelcomeLimits)
}

// AppendAck appends an ack.
func AppendAck(dst []byte, enc Encoding, a *Ack) []byte {
	if enc == Proto {
		mark := len(dst)
		dst = protoBytes(dst, fieldAckID, a.ID)
		dst = protoUint(dst, fieldAckStatus, uint64(a.Status))
		dst = protoBytes(dst, fieldAckCode, a.Code)
		if a.MessageID != (backplane.MessageID{}) {
			dst = protoBytes(dst, fieldAckMessageID, a.MessageID[:])
		}
		dst = protoUint(dst, fieldAckTime, uint64(a.Time))
		return wrap(dst, mark, fieldServerAck)
	}
	dst = jsonOpen(dst, FrameAck)
	dst = jsonString(dst, "id", a.ID)
	dst = jsonString(dst, "status", statusName(a.Status))
	if a.Code != "" {
		dst = jsonString(dst, "code", a.Code)
	}
	if a.MessageID != (backplane.MessageID{}) {
		dst = jsonHex(dst, "message_id", a.MessageID[:])
	}
	if a.Time != 0 {
		dst = jsonInt(dst, "time", a.Time)
	}
	return append(dst, '}')
}

// AppendGap appends a gap.
func AppendGap(dst []byte, enc Encoding, g *Gap) []byte {
	if enc == Proto {
		mark := len(dst)
		dst = protoUint(dst, fieldGapFromSeq, g.FromSeq)
		dst = protoUint(dst, fieldGapToSeq, g.ToSeq)
		dst = protoBytes(dst, fieldGapReason, g.Reason)
		dst = protoBytes(dst, fieldGapAfter, g.After)
		dst = protoBytes(dst, fieldGapBefore, g.Before)
		return wrap(dst, mark, fieldServerGap)
	}
	dst = jsonOpen(dst, FrameGap)
	dst = jsonUint(dst, "from_seq", g.FromSeq)
	dst = jsonUint(dst, "to_seq", g.ToSeq)
	dst = jsonString(dst, "reason", g.Reason)
	dst = jsonString(dst, "after", g.After)
	dst = jsonString(dst, "before", g.Before)
	return append(dst, '}')
}

// AppendHeartbeat appends a heartbeat.
func AppendHeartbeat(dst []byte, enc Encoding, h *Heartbeat) []byte {
	if enc == Proto {
		mark := len(dst)
		dst = protoUint(dst, fieldHeartbeatSeq, h.Seq)
		dst = protoBytes(dst, fieldHeartbeatCursor, h.Cursor)
		return wrap(dst, mark, fieldServerHeartbeat)
	}
	dst = jsonOpen(dst, FrameHeartbeat)
	dst = jsonUint(dst, "seq", h.Seq)
	dst = jsonString(dst, "cursor", h.Cursor)
	return append(dst, '}')
}

// AppendPong appends a pong.
func AppendPong(dst []byte, enc Encoding) []byte {
	if enc == Proto {
		return wrap(dst, len(dst), fieldServerPong)
	}
	return append(jsonOpen(dst, FramePong), '}')
}

// AppendMoved appends a moved.
func AppendMoved(dst []byte, enc Encoding, m *Moved) []byte {
	if enc == Proto {
		mark := len(dst)
		dst = protoBytes(dst, fieldMovedURL, m.URL)
		dst = protoBytes(dst, fieldMovedNode, m.Node)
		dst = protoUint(dst, fieldMovedMapVersion, m.MapVersion)
		dst = protoUint(dst, fieldMovedRetryAfter, millis(m.RetryAfter))
		return wrap(dst, mark, fieldServerMoved)
	}
	dst = jsonOpen(dst, FrameMoved)
	dst = jsonString(dst, "url", m.URL)
	dst = jsonString(dst, "node", m.Node)
	dst = jsonUint(dst, "map_version", m.MapVersion)
	dst = jsonUint(dst, "retry_after_ms", millis(m.RetryAfter))
	return append(dst, '}')
}

// AppendError appends an error.
func AppendError(dst []byte, enc Encoding, e *ErrorFrame) []byte {
	if enc == Proto {
		mark := len(dst)
		dst = protoBytes(dst, fieldErrorCode, e.Code)
		dst = protoBytes(dst, fieldErrorMessage, e.Message)
		return wrap(dst, mark, fieldServerError)
	}
	dst = jsonOpen(dst, FrameError)
	dst = jsonString(dst, "code", e.Code)
	if e.Message != "" {
		dst = jsonString(dst, "message", e.Message)
	}
	return append(dst, '}')
}

// sessionDigits is the length of a session's id as text.
const sessionDigits = 16

// AppendSessionID appends the text of a session's id: 16 hexadecimal digits, as in
// welcome.session. It is also the device name of a session that gave none.
func AppendSessionID(dst []byte, session uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, digits[session>>shift&15])
	}
	return dst
}
