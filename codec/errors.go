package codec

import (
	"strings"

	"github.com/godwit-im/godwit/backplane"
)

// Error says why a frame was refused.
type Error struct {
	Code backplane.Code
	// Detail is a short text for people: what in the frame is wrong. It may quote the
	// frame.
	Detail string
	// ID is the id of the send or the history request that was refused, so that an ack
	// or a history page can answer it; nil where the frame is neither or has no valid id
	// that could be read. It does not alias the frame.
	ID []byte
	// Type is the type of the frame, FrameUnknown where that could not be read.
	Type FrameType
}

func (e *Error) Error() string {
	if e.Detail == "" {
		return "codec: " + string(e.Code)
	}
	return "codec: " + string(e.Code) + ": " + e.Detail
}

// refusal returns an Error without an id.
func refusal(code backplane.Code, detail string) *Error {
	if len(detail) > maxDetail {
		detail = detail[:maxDetail]
	}
	return &Error{Code: code, Detail: strings.ToValidUTF8(detail, "")}
}
