package codec

// Encoding is how frames are written on a connection. The client chooses it by the
// WebSocket subprotocol.
type Encoding uint8

// The encodings.
const (
	// JSON: text messages, one object each.
	JSON Encoding = iota
	// Proto: binary messages, one protobuf each.
	Proto
)

// Encodings is how many encodings there are, for arrays indexed by Encoding.
const Encodings = 2

// The names of the subprotocols, for Sec-WebSocket-Protocol.
const (
	subprotocolJSON  = "godwit.v1.json"
	subprotocolProto = "godwit.v1.proto"
)

// Subprotocol returns the name of the WebSocket subprotocol.
func (e Encoding) Subprotocol() string {
	if e == Proto {
		return subprotocolProto
	}
	return subprotocolJSON
}

// EncodingOf returns the encoding that a subprotocol name stands for.
func EncodingOf(name string) (Encoding, bool) {
	switch name {
	case subprotocolJSON:
		return JSON, true
	case subprotocolProto:
		return Proto, true
	}
	return 0, false
}

// Text reports whether frames travel in text messages rather than binary ones.
func (e Encoding) Text() bool { return e == JSON }

// String names the encoding in logs and metrics: "json" or "proto".
func (e Encoding) String() string {
	if e == Proto {
		return "proto"
	}
	return "json"
}
