package codec

import (
	"bytes"
	"unicode/utf8"

	"github.com/godwit-im/godwit/backplane"
)

// Decoder decodes the frames of clients. It holds scratch memory, so that one
// Decoder serves all connections of an event loop. Its zero value is ready. One
// goroutine owns it.
type Decoder struct {
	json jsonReader
	to   [][]byte
	id   []byte // the id in the frame being decoded, nil until a valid one was read
}

// Decode decodes payload, the complete payload of one WebSocket message, into f.
// All slices in f alias payload or the Decoder and are valid until the next
// Decode.
//
// It is strict, in both encodings alike: anything unknown, anything given twice and
// anything beyond lim is refused. No memory is taken for what is refused: text with
// escapes is unescaped into scratch no larger than payload, and the count of
// recipients is checked before each.
//
// The error is an *Error; what f then holds has no meaning.
func (d *Decoder) Decode(enc Encoding, payload []byte, lim *Limits, f *ClientFrame) error {
	*f = ClientFrame{}
	d.to, d.id = d.to[:0], nil
	var err *Error
	if enc == Proto {
		err = d.decodeProto(payload, lim, f)
	} else {
		err = d.decodeJSON(payload, lim, f)
	}
	if err != nil {
		err.Type = f.Type
		if f.Type == FrameSend || f.Type == FrameHistory {
			err.ID = bytes.Clone(d.id)
		}
		return err
	}
	return nil
}

// setID takes the id of a send or of a history request.
func (d *Decoder) setID(id []byte) *Error {
	if len(id) == 0 || len(id) > backplane.MaxClientID || !utf8.Valid(id) {
		return refusal(CodeBadID, "")
	}
	d.id = id
	return nil
}

// checkToken checks the token of a refresh. Whether it is valid, and that it is
// there at all, is for whoever verifies it.
func checkToken(token []byte) *Error {
	if len(token) > MaxToken {
		return refusal(CodeUnauthorized, "the token is longer than 4096 bytes")
	}
	return nil
}

// addRecipient takes the next recipient of a send.
func (d *Decoder) addRecipient(user []byte, lim *Limits) *Error {
	if len(d.to) >= lim.Recipients {
		return refusal(CodeTooManyRecipients, "")
	}
	if err := backplane.ValidUser(user); err != nil {
		return refusal(CodeBadRecipient, err.Error())
	}
	// At most MaxRecipients are there, and most pairs differ in their length or in
	// their first bytes, so comparing all is cheaper than a set.
	for _, u := range d.to {
		if bytes.Equal(u, user) {
			return refusal(CodeDuplicateRecipient, string(user))
		}
	}
	d.to = append(d.to, user)
	return nil
}

// setTTL takes the time to live of a send.
func (s *Send) setTTL(ms uint64) *Error {
	if ms > backplane.MaxTTL {
		return refusal(CodeBadTTL, "")
	}
	s.TTL = int64(ms)
	return nil
}

// finishSend checks what a send must have and hands it over.
func (d *Decoder) finishSend(s *Send) *Error {
	if d.id == nil {
		return refusal(CodeBadID, "")
	}
	if len(d.to) == 0 {
		return refusal(CodeNoRecipients, "")
	}
	s.ID, s.To = d.id, d.to
	return nil
}
