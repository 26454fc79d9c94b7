package ws

// Op says what a frame carries. The values are the opcodes of RFC 6455, section
// 5.2; a continuation frame has no Op of its own, since a Reader puts messages
// together.
type Op uint8

// The kinds of messages and control frames.
const (
	Text   Op = 0x1
	Binary Op = 0x2
	Close  Op = 0x8
	Ping   Op = 0x9
	Pong   Op = 0xa
)

// The opcode of the frames after the first of a fragmented message.
const continuation Op = 0x0

func (op Op) isControl() bool { return op&0x8 != 0 }

// The status codes of close frames that this package gives or treats in a special
// way (RFC 6455, section 7.4.1).
const (
	// CloseProtocolError: the peer broke the framing rules.
	CloseProtocolError uint16 = 1002
	// CloseNoStatus stands for a close frame without a status code. It is never
	// on the wire.
	CloseNoStatus uint16 = 1005
	// CloseInvalidData: a text message or a close reason is not UTF-8.
	CloseInvalidData uint16 = 1007
	// CloseTooBig: a message exceeds the limits.
	CloseTooBig uint16 = 1009
)

// ValidCloseCode reports whether a close frame may carry code: those that RFC 6455
// defines for the wire, those registered since with IANA (1012 to 1014), and
// the ranges of libraries and applications, 3000 to 4999. Codes such as 1005 and
// 1006, which only describe an end to the local application, are not valid, nor are
// those that await a meaning (section 7.4.2).
func ValidCloseCode(code uint16) bool {
	switch {
	case code >= 1000 && code <= 1003,
		code >= 1007 && code <= 1014,
		code >= 3000 && code <= 4999:
		return true
	}
	return false
}
