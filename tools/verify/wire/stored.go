package wire

import "github.com/godwit-im/godwit/tools/verify/event"

// DecodeStored decodes a Message of the .proto, as deliveries carry it and as the log has
// it in the values of its records. The error is a *Violation.
func DecodeStored(value []byte) (event.Message, error) {
	var found findings
	var m Message
	if stored, ok := protoMessage("a record", value, &found); ok {
		decodeStored(&m, stored)
	}
	if len(found) > 0 {
		return event.Message{}, found[0]
	}
	return messageOf(&m), nil
}
