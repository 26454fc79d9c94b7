package codec

import (
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/godwit-im/godwit/backplane"
)

// The field numbers of the client's frames in godwit.proto.
const (
	fieldClientSend    protowire.Number = 1
	fieldClientRefresh protowire.Number = 2
	fieldClientPing    protowire.Number = 3
	fieldClientHistory protowire.Number = 4

	fieldSendID   protowire.Number = 1
	fieldSendTo   protowire.Number = 2
	fieldSendBody protowire.Number = 3
	fieldSendKind protowire.Number = 4
	fieldSendTTL  protowire.Number = 5

	fieldRefreshToken protowire.Number = 1

	fieldHistoryID     protowire.Number = 1
	fieldHistoryAfter  protowire.Number = 2
	fieldHistoryBefore protowire.Number = 3
	fieldHistoryAround protowire.Number = 4
	fieldHistoryLimit  protowire.Number = 5
	fieldHistoryPeer   protowire.Number = 6
)

func (d *Decoder) decodeProto(b []byte, lim *Limits, f *ClientFrame) *Error {
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 {
		return badProto(n)
	}
	if num < fieldClientSend || num > fieldClientHistory {
		return refusal(CodeUnknownType, fieldName(num))
	}
	if typ != protowire.BytesType {
		return wrongType(num)
	}
	frame, m := protowire.ConsumeBytes(b[n:])
	if m < 0 {
		return badProto(m)
	}
	var err *Error
	switch num {
	case fieldClientSend:
		f.Type = FrameSend
		err = d.protoSend(frame, lim, &f.Send)
	case fieldClientRefresh:
		f.Type = FrameRefresh
		f.Token, err = protoRefresh(frame)
	case fieldClientPing:
		f.Type = FramePing
		err = protoEmpty(frame)
	case fieldClientHistory:
		f.Type = FrameHistory
		err = d.protoHistory(frame, &f.History)
	}
	if err != nil {
		return err
	}
	// Another frame after this one is no part of it, and neither is anything else.
	return protoEmpty(b[n+m:])
}

// fieldSet is a set of field numbers below 16.
type fieldSet uint16

func fieldsOf(nums ...protowire.Number) (set fieldSet) {
	for _, n := range nums {
		set |= 1 << n
	}
	return set
}

func (s fieldSet) has(num protowire.Number) bool { return num < 16 && s&(1<<num) != 0 }

// The fields of a send and of a history request. All that are not numbers are
// length-delimited.
var (
	sendFields     = fieldsOf(fieldSendID, fieldSendTo, fieldSendBody, fieldSendKind, fieldSendTTL)
	sendNumbers    = fieldsOf(fieldSendKind, fieldSendTTL)
	sendRepeated   = fieldsOf(fieldSendTo)
	historyFields  = fieldsOf(fieldHistoryID, fieldHistoryAfter, fieldHistoryBefore, fieldHistoryAround, fieldHistoryLimit, fieldHistoryPeer)
	historyNumbers = fieldsOf(fieldHistoryLimit)
)

// strictFields calls set for each field of a protobuf message of a client, with its
// value v or b, and stops at the first fault: a field that is not one of known, one that
// is given twice and not repeated, or a wrong wire type. Encoders write fields in order
// of their numbers, so an id is known when any other field is refused.
func strictFields(p []byte, known, numbers, repeated fieldSet, set func(num protowire.Number, v uint64, b []byte) *Error) *Error {
	var seen fieldSet
	for len(p) > 0 {
		num, typ, n := protowire.ConsumeTag(p)
		if n < 0 {
			return badProto(n)
		}
		p = p[n:]
		if !known.has(num) {
			return refusal(CodeUnknownField, fieldName(num))
		}
		if seen.has(num) && !repeated.has(num) {
			return refusal(CodeBadFrame, fieldName(num)+" is given twice")
		}
		seen |= 1 << num
		if isNumber := numbers.has(num); isNumber != (typ == protowire.VarintType) || !isNumber && typ != protowire.BytesType {
			return wrongType(num)
		}
		var v uint64
		var b []byte
		if typ == protowire.VarintType {
			v, n = protowire.ConsumeVarint(p)
		} else {
			b, n = protowire.ConsumeBytes(p)
		}
		if n < 0 {
			return badProto(n)
		}
		p = p[n:]
		if err := set(num, v, b); err != nil {
			return err
		}
	}
	return nil
}

// protoSend decodes the fields of a Send.
func (d *Decoder) protoSend(p []byte, lim *Limits, s *Send) *Error {
	err := strictFields(p, sendFields, sendNumbers, sendRepeated, func(num protowire.Number, v uint64, b []byte) *Error {
		switch num {
		case fieldSendID:
			return d.setID(b)
		case fieldSendTo:
			return d.addRecipient(b, lim)
		case fieldSendBody:
			if len(b) > lim.Body {
				return refusal(CodeBodyTooLarge, "")
			}
			s.Body = b
		case fieldSendKind:
			if v > 255 || !backplane.Kind(v).Valid() {
				return refusal(CodeBadKind, strconv.FormatUint(v, 10))
			}
			s.Kind = backplane.Kind(v)
		case fieldSendTTL:
			return s.setTTL(v)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return d.finishSend(s)
}

// protoHistory decodes the fields of a History.
func (d *Decoder) protoHistory(p []byte, h *History) *Error {
	err := strictFields(p, historyFields, historyNumbers, 0, func(num protowire.Number, v uint64, b []byte) *Error {
		switch num {
		case fieldHistoryID:
			return d.setID(b)
		case fieldHistoryAfter:
			h.After = b
			return checkCursor(b, "after")
		case fieldHistoryBefore:
			h.Before = b
			return checkCursor(b, "before")
		case fieldHistoryAround:
			h.Around = b
			return checkCursor(b, "around")
		case fieldHistoryLimit:
			return h.setLimit(v)
		case fieldHistoryPeer:
			h.Peer = b
			return checkPeer(b)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return d.finishHistory(h)
}

// protoRefresh decodes the fields of a Refresh.
func protoRefresh(b []byte) ([]byte, *Error) {
	if len(b) == 0 {
		return nil, nil
	}
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 {
		return nil, badProto(n)
	}
	if num != fieldRefreshToken {
		return nil, refusal(CodeUnknownField, fieldName(num))
	}
	if typ != protowire.BytesType {
		return nil, wrongType(num)
	}
	token, m := protowire.ConsumeBytes(b[n:])
	if m < 0 {
		return nil, badProto(m)
	}
	if err := checkToken(token); err != nil {
		return nil, err
	}
	if !utf8.Valid(token) {
		return nil, refusal(CodeBadFrame, "the token is not valid UTF-8")
	}
	return token, protoEmpty(b[n+m:])
}

// protoEmpty refuses any field.
func protoEmpty(b []byte) *Error {
	if len(b) == 0 {
		return nil
	}
	num, _, n := protowire.ConsumeTag(b)
	if n < 0 {
		return badProto(n)
	}
	return refusal(CodeUnknownField, fieldName(num))
}

func badProto(n int) *Error {
	return refusal(CodeBadFrame, "not valid protobuf: "+protowire.ParseError(n).Error())
}

func wrongType(num protowire.Number) *Error {
	return refusal(CodeBadFrame, fieldName(num)+" has the wrong wire type")
}

func fieldName(num protowire.Number) string { return "field " + strconv.Itoa(int(num)) }
