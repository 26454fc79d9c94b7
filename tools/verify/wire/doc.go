// Package wire is a second client of godwit.v1, written for package verify from
// docs/protocol.md and codec/godwit.proto alone. It shares no code with the server or
// with tools/client, so a mistake that those two have in common shows here.
//
// It is plain and strict. A Conn is one connection, which sends what it is told and
// hands out what comes: it does not reconnect, retry, move or keep cursors; the
// workload does that. What a server sends against the protocol becomes a Violation in
// the stream of frames. Unlike a client for people, it also takes a field or a frame
// that the protocol does not have as a violation, because it knows the version of the
// server that it looks at.
//
// From the socket to the caller: socket.go takes RFC 6455 apart, json.go and proto.go
// decode a message into a Frame, fields.go checks the frame by itself, and rules.go
// checks it against what the connection has seen and asked.
//
// One goroutine calls Conn.Next. Any goroutine may call the other methods of a Conn
// while it does. There is no goroutine behind a Conn: who does not call Next does not
// read, and Conn.SetPace makes whoever calls it read slowly or not at all.
package wire
