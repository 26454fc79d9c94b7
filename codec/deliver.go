package codec

import (
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/godwit-im/godwit/backplane"
)

// A deliver frame is put together of two parts. The head has what differs between
// devices; it is made when the delivery gets its sequence number. The tail has the
// rest; it is made once for each record, encoding and choice of body, and shared by
// all devices. Head and tail, one after the other, are the frame.

const jsonDeliverHead = `{"type":"deliver","seq":`
const jsonDeliverSelf = `,"self":true`

// AppendDeliverHead appends the head of a deliver frame: the number of the delivery
// on its connection, from 1, and whether the receiving user is the sender.
func AppendDeliverHead(dst []byte, enc Encoding, seq uint64, self bool) []byte {
	if enc == Proto {
		dst = protoUint(dst, fieldServerSeq, seq)
		return protoBool(dst, fieldServerSelf, self)
	}
	dst = append(dst, jsonDeliverHead...)
	dst = strconv.AppendUint(dst, seq, 10)
	if self {
		dst = append(dst, jsonDeliverSelf...)
	}
	return append(dst, ',')
}

// DeliverHeadSize returns how many bytes AppendDeliverHead appends, so that the
// length of the frame is known before it is written.
func DeliverHeadSize(enc Encoding, seq uint64, self bool) int {
	if enc == Proto {
		n := 0
		if seq > 0 {
			n += protowire.SizeTag(fieldServerSeq) + protowire.SizeVarint(seq)
		}
		if self {
			n += protowire.SizeTag(fieldServerSelf) + 1
		}
		return n
	}
	n := len(jsonDeliverHead) + decimalDigits(seq) + len(",")
	if self {
		n += len(jsonDeliverSelf)
	}
	return n
}

// AppendDeliverTail appends the tail of a deliver frame: the position and log time
// (Unix milliseconds) of the record, and its message. value is the encoded message,
// the record's value, and m is what backplane.ParseMessage made of it. Without body
// the tail leaves the body out: the session that sent a message has it already.
func AppendDeliverTail(dst []byte, enc Encoding, pos backplane.Position, time int64, m *backplane.Message, value []byte, body bool) []byte {
	var buf [MaxCursor]byte
	cursor := AppendCursor(buf[:0], pos)
	if enc == Proto {
		dst = protoBytes(dst, fieldServerCursor, cursor)
		dst = protoUint(dst, fieldServerTime, uint64(time))
		var after []byte
		if !body {
			value, after = backplane.CutBody(value)
		}
		dst = protowire.AppendTag(dst, fieldServerMessage, protowire.BytesType)
		dst = protowire.AppendVarint(dst, uint64(len(value)+len(after)))
		dst = append(dst, value...)
		return append(dst, after...)
	}
	dst = append(dst, `"cursor":"`...)
	dst = append(dst, cursor...)
	dst = append(dst, '"')
	dst = jsonInt(dst, "time", time)
	dst = jsonHex(dst, "message_id", m.MessageID[:])
	dst = jsonString(dst, "from", m.From)
	dst = jsonStrings(dst, "to", m.To)
	dst = jsonString(dst, "id", m.ID)
	dst = jsonString(dst, "kind", kindName(m.Kind))
	if m.TTL > 0 {
		dst = jsonInt(dst, "ttl_ms", m.TTL)
	}
	if body {
		dst = jsonBody(dst, m.Body)
	}
	return append(dst, '}')
}

// decimalDigits returns how many decimal digits v has.
func decimalDigits(v uint64) int {
	n := 1
	for v >= 10 {
		v /= 10
		n++
	}
	return n
}
