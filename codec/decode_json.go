package codec

import (
	"math"
	"math/bits"
	"strconv"
)

// members is a set of the members of client frames in JSON.
type members uint16

const (
	memberType members = 1 << iota
	memberID
	memberTo
	memberBody
	memberBodyBase64
	memberKind
	memberToken
	memberTTL
	memberAfter
	memberBefore
	memberAround
	memberLimit
	memberPeer
)

// memberNames holds the name of each member at the number of its bit.
var memberNames = [...]string{
	"type", "id", "to", "body", "body_base64", "kind", "token", "ttl_ms",
	"after", "before", "around", "limit", "peer",
}

func memberOf(name []byte) members {
	for i, n := range memberNames {
		if string(name) == n {
			return 1 << i
		}
	}
	return 0
}

// clientType returns the type of client frame that a name stands for and the
// members that belong to it, or FrameUnknown.
func clientType(name []byte) (FrameType, members) {
	switch string(name) {
	case "send":
		return FrameSend, memberType | memberID | memberTo | memberBody | memberBodyBase64 | memberKind | memberTTL
	case "refresh":
		return FrameRefresh, memberType | memberToken
	case "ping":
		return FramePing, memberType
	case "history":
		return FrameHistory, memberType | memberID | memberAfter | memberBefore | memberAround | memberLimit | memberPeer
	}
	return FrameUnknown, 0
}

// decodeJSON decodes an object whose members come in any order. A frame that is not
// valid JSON or of an unknown type ends it at once. Any other fault is remembered
// while it reads on, so that the id is found wherever it stands and an ack can
// answer; of several faults the first is told.
func (d *Decoder) decodeJSON(payload []byte, lim *Limits, f *ClientFrame) *Error {
	r := &d.json
	r.reset(payload)
	if err := r.token('{', "a frame is a JSON object"); err != nil {
		return err
	}
	var seen, belong members
	var fault *Error
	unknown := 0
	for r.kind() != '}' {
		name, err := r.string()
		if err != nil {
			return err
		}
		m := memberOf(name)
		seen |= m
		switch m {
		case 0:
			err = refusal(CodeUnknownField, string(name))
			unknown++
			if k := r.kind(); k == '{' || k == '[' || unknown == maxUnknown {
				// Reading past it would cost memory, for its depth and its names.
				return first(fault, err)
			}
			if err := r.skip(); err != nil {
				return err
			}
		case memberType:
			var typ []byte
			if typ, err = r.string(); err != nil {
				return err
			}
			if f.Type, belong = clientType(typ); f.Type == FrameUnknown {
				return refusal(CodeUnknownType, string(typ))
			}
		case memberTo:
			err = d.jsonTo(lim)
		case memberTTL, memberLimit:
			err = d.jsonNumber(m, f)
		default:
			err = d.jsonText(m, lim, f)
		}
		if err != nil && err.Code == CodeBadFrame {
			return err
		}
		fault = first(fault, err)
	}
	if err := r.token('}', ""); err != nil {
		return err
	}
	if err := r.end(); err != nil {
		return err
	}

	if f.Type == FrameUnknown {
		return refusal(CodeBadFrame, "type is missing")
	}
	if extra := seen &^ belong; extra != 0 {
		fault = first(fault, refusal(CodeUnknownField, memberNames[bits.TrailingZeros16(uint16(extra))]))
	}
	if both := memberBody | memberBodyBase64; seen&both == both {
		fault = first(fault, refusal(CodeBadEncoding, "body and body_base64"))
	}
	if fault != nil {
		return fault
	}
	switch f.Type {
	case FrameSend:
		return d.finishSend(&f.Send)
	case FrameHistory:
		return d.finishHistory(&f.History)
	}
	return nil
}

// first returns the first of two faults, either of which may be nil.
func first(fault, err *Error) *Error {
	if fault != nil {
		return fault
	}
	return err
}

// jsonText decodes a member of type string.
func (d *Decoder) jsonText(m members, lim *Limits, f *ClientFrame) *Error {
	text, err := d.json.string()
	if err != nil {
		return err
	}
	switch m {
	case memberID:
		return d.setID(text)
	case memberToken:
		f.Token = text
		return checkToken(text)
	case memberKind:
		f.Send.Kind = kindOf(text)
		if !f.Send.Kind.Valid() {
			return refusal(CodeBadKind, string(text))
		}
	case memberBody:
		if len(text) > lim.Body {
			return refusal(CodeBodyTooLarge, "")
		}
		f.Send.Body = text
	case memberBodyBase64:
		// Four characters hold three bytes, the last two of which may be padding.
		if len(text)/4*3-2 > lim.Body {
			return refusal(CodeBodyTooLarge, "")
		}
		body, ok := d.json.base64(text)
		if !ok {
			return refusal(CodeBadEncoding, "body_base64")
		}
		if len(body) > lim.Body {
			return refusal(CodeBodyTooLarge, "")
		}
		f.Send.Body = body
	case memberAfter:
		f.History.After = text
		return checkCursor(text, "after")
	case memberBefore:
		f.History.Before = text
		return checkCursor(text, "before")
	case memberAround:
		f.History.Around = text
		return checkCursor(text, "around")
	case memberPeer:
		f.History.Peer = text
		return checkPeer(text)
	}
	return nil
}

// jsonNumber decodes a member of type number. One that is not whole, negative or
// beyond 64 bits counts as beyond its limit.
func (d *Decoder) jsonNumber(m members, f *ClientFrame) *Error {
	text, err := d.json.number()
	if err != nil {
		return err
	}
	v, bad := strconv.ParseUint(string(text), 10, 64)
	if bad != nil {
		v = math.MaxUint64
	}
	if m == memberTTL {
		return f.Send.setTTL(v)
	}
	return f.History.setLimit(v)
}

// jsonTo decodes the array of recipients. After a fault it reads on without
// keeping anything.
func (d *Decoder) jsonTo(lim *Limits) *Error {
	if err := d.json.token('[', "to is not an array"); err != nil {
		return err
	}
	var fault *Error
	for d.json.kind() != ']' {
		user, err := d.json.string()
		if err != nil {
			return err
		}
		if fault == nil {
			fault = d.addRecipient(user, lim)
		}
	}
	if err := d.json.token(']', ""); err != nil {
		return err
	}
	return fault
}
