package wire

import (
	"crypto/sha256"
	"encoding/binary"
)

// NewMessageID returns the message_id of a send, as docs/protocol.md defines it.
// device is the connect parameter, or the session of the welcome without one.
func NewMessageID(from, device string, s *Send) MessageID {
	var b []byte
	part := func(p string) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	part(from)
	part(device)
	part(s.ID)
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.To)))
	for _, to := range s.To {
		part(to)
	}
	if s.Kind == KindSignal {
		part("\x01")
	} else {
		part("\x00")
	}
	part(string(s.Body))
	sum := sha256.Sum256(b)
	return MessageID(sum[:messageIDBytes])
}
