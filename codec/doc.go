// Package codec encodes and decodes the frames of the wire protocol godwit.v1,
// in JSON and in protobuf.
//
// godwit.proto is the schema of both encodings, docs/protocol.md describes them
// to the authors of clients, and testdata/frames.json holds golden vectors for
// other languages. This package also holds what a client may be told: the codes
// of refused frames (codes.go), the reasons of gaps and the close codes
// (closecodes.go).
//
// The encoding is written by hand, because the server must refuse a limit before
// it takes memory for it, and because frames with messages are put together of the
// bytes in the log: a delivery of a small head for each device and a tail that all of
// them share (deliver.go), a page of history message by message (page.go). The code
// that protoc-gen-go makes of the schema (codec/godwitpb) is the reference that the
// tests compare with.
//
// The server's side is strict: a frame with anything unknown in it is refused, so
// that a client learns that its wish was not understood. The client's side skips
// what it does not know, so that servers can grow.
//
// It is not for WebSocket framing (codec/ws), and it decides nothing that needs
// the state of a connection, such as whether a user addresses itself.
//
// There is no IO, no clock and no goroutine here. Functions may be called from any
// goroutine. A Decoder, and a ServerFrame that is decoded into, belong to one
// goroutine at a time.
package codec
