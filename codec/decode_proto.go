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

	fieldSendID   protowire.Number = 1
	fieldSendTo   protowire.Number = 2
	fieldSendBody protowire.Number = 3
	fieldSendKind protowire.Number = 4

	fieldRefreshToken protowire.Number = 1
)

func (d *Decoder) decodeProto(b []byte, lim *Limits, f *ClientFrame) *Error {
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 {
		return badProto(n)
	}
	if num < fieldClientSend || num > fieldClientPing {
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
	}
	if err != nil {
		return err
	}
	// Another frame after this one is no part of it, and neither is anything else.
	return protoEmpty(b[n+m:])
}

// protoSend decodes the fields of a Send. Encoders write fields in order of their
// numbers, so the id is known when any other field is refused.
func (d *Decoder) protoSend(b []byte, lim *Limits, s *Send) *Error {
	var seen uint8
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return badProto(n)
		}
		b = b[n:]
		if num < fieldSendID || num > fieldSendKind {
			return refusal(CodeUnknownField, fieldName(num))
		}
		if num != fieldSendTo {
			if seen&(1<<num) != 0 {
				return refusal(CodeBadFrame, fieldName(num)+" is given twice")
			}
			seen |= 1 << num
		}
		if num == fieldSendKind {
			if typ != protowire.VarintType {
				return wrongType(num)
			}
			v, n := protowire.ConsumeVarint(b)
			if n < 0 {
				return badProto(n)
			}
			b = b[n:]
			if v > 255 || !backplane.Kind(v).Valid() {
				return refusal(CodeBadKind, strconv.FormatUint(v, 10))
			}
			s.Kind = backplane.Kind(v)
			continue
		}
		if typ != protowire.BytesType {
			return wrongType(num)
		}
		v, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return badProto(n)
		}
		b = b[n:]
		var err *Error
		switch num {
		case fieldSendID:
			err = d.setID(v)
		case fieldSendTo:
			err = d.addRecipient(v, lim)
		case fieldSendBody:
			if len(v) > lim.Body {
				err = refusal(CodeBodyTooLarge, "")
			}
			s.Body = v
		}
		if err != nil {
			return err
		}
	}
	return d.finishSend(s)
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
