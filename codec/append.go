package codec

import (
	"encoding/hex"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/encoding/protowire"
)

// The building blocks of what is encoded. Like the exported functions that use
// them they append to dst, and allocate only when its capacity is too small.

// wrap turns what was appended since mark into a length-delimited field: it moves
// it to make room for the tag and the length. Moving a few dozen bytes costs less
// than computing their size beforehand.
func wrap(dst []byte, mark int, num protowire.Number) []byte {
	n := len(dst) - mark
	size := protowire.SizeTag(num) + protowire.SizeVarint(uint64(n))
	for range size {
		dst = append(dst, 0)
	}
	copy(dst[mark+size:], dst[mark:mark+n])
	head := protowire.AppendTag(dst[:mark], num, protowire.BytesType)
	protowire.AppendVarint(head, uint64(n))
	return dst
}

// protoBytes appends a string or bytes field, unless it is empty.
func protoBytes[T ~string | ~[]byte](dst []byte, num protowire.Number, v T) []byte {
	if len(v) == 0 {
		return dst
	}
	dst = protowire.AppendTag(dst, num, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(len(v)))
	return append(dst, v...)
}

// protoUint appends a varint field, unless it is zero.
func protoUint(dst []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	dst = protowire.AppendTag(dst, num, protowire.VarintType)
	return protowire.AppendVarint(dst, v)
}

// protoBool appends a bool field, unless it is false.
func protoBool(dst []byte, num protowire.Number, v bool) []byte {
	return protoUint(dst, num, protowire.EncodeBool(v))
}

// jsonOpen begins an object with its type.
func jsonOpen(dst []byte, t FrameType) []byte {
	dst = append(dst, `{"type":"`...)
	dst = append(dst, t.String()...)
	return append(dst, '"')
}

// jsonString appends a member of type string. Invalid UTF-8, which must not get
// here, becomes U+FFFD, so that the output is JSON whatever happens.
func jsonString[T ~string | ~[]byte](dst []byte, name string, v T) []byte {
	dst = jsonName(dst, name)
	dst, _ = jsontext.AppendQuote(dst, v)
	return dst
}

// jsonUint appends a member of type number.
func jsonUint(dst []byte, name string, v uint64) []byte {
	return strconv.AppendUint(jsonName(dst, name), v, 10)
}

// jsonInt appends a member of type number.
func jsonInt(dst []byte, name string, v int64) []byte {
	return strconv.AppendInt(jsonName(dst, name), v, 10)
}

// jsonBool appends a member of type boolean.
func jsonBool(dst []byte, name string, v bool) []byte {
	return strconv.AppendBool(jsonName(dst, name), v)
}

// jsonHex appends a member of type string that holds bytes in hexadecimal digits.
func jsonHex(dst []byte, name string, v []byte) []byte {
	dst = append(jsonName(dst, name), '"')
	dst = hex.AppendEncode(dst, v)
	return append(dst, '"')
}

// jsonBody appends a body: as text where it is text, else in base64.
func jsonBody(dst []byte, body []byte) []byte {
	if utf8.Valid(body) {
		return jsonString(dst, "body", body)
	}
	dst = append(jsonName(dst, "body_base64"), '"')
	dst = base64Strict.AppendEncode(dst, body)
	return append(dst, '"')
}

// jsonStrings appends a member of type array of strings.
func jsonStrings(dst []byte, name string, vs [][]byte) []byte {
	dst = append(jsonName(dst, name), '[')
	for i, v := range vs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst, _ = jsontext.AppendQuote(dst, v)
	}
	return append(dst, ']')
}

// jsonName appends the name of a member, with the comma before it where one is
// needed.
func jsonName(dst []byte, name string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(dst, '"')
	dst = append(dst, name...)
	return append(dst, '"', ':')
}

// millis returns d in whole milliseconds as the wire has it, at most 2^32-1.
func millis(d time.Duration) uint64 {
	return uint64(min(max(d.Milliseconds(), 0), 1<<32-1))
}
