package backplane

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"
)

// The headers of a record.
const (
	// HeaderRecipients holds the users of the record's partition that the message
	// concerns: each as a varint length and the bytes of the id.
	HeaderRecipients = "r"
	// HeaderSession holds the sending session's id, 8 bytes big-endian.
	HeaderSession = "s"
)

// AppendRecipient appends a user to the value of HeaderRecipients.
func AppendRecipient(dst, user []byte) []byte { return protowire.AppendBytes(dst, user) }

// NextRecipient splits the first user off the value of HeaderRecipients. ok is
// false at the end, and where the bytes are not a list of users.
func NextRecipient(list []byte) (user, rest []byte, ok bool) {
	user, n := protowire.ConsumeBytes(list)
	if n < 0 {
		return nil, nil, false
	}
	return user, list[n:], true
}

// AppendSession appends the value of HeaderSession.
func AppendSession(dst []byte, session uint64) []byte {
	return binary.BigEndian.AppendUint64(dst, session)
}

// ParseSession returns the session id of a HeaderSession value, 0 if it is not one.
func ParseSession(b []byte) uint64 {
	if len(b) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}
