// Package session is the state machine of one connection: bytes and events go
// in, output and effects come out.
//
// A Session is what the server knows of a connection, from the first byte of the
// request to the last of the close frame. It does no IO, starts no goroutine and
// reads no clock: the reactor feeds it with what it read (Receive), with messages
// (Deliver), with answers (Loop.Take), with the time (Loop.Now, Expire), and takes
// its output from it (Fill, Wrote) when the socket is writable. So every test of
// the protocol is a test of functions.
//
// A Loop is what the sessions of one event loop share: settings, scratch buffers,
// the free list of outbox rings, the credits for answers, the positions that the
// loop has been told, and counters.
//
// Sessions and their Loop are owned by the event loop's goroutine, and all their
// methods must be called there. The exceptions are Answer.Done and
// Answer.Verified, which whoever works for a session calls once, from any
// goroutine, and Counters, which may be read from any.
package session
