// Command peers runs the servers that godwit's benchmarks compare it with: floors,
// which do only what no server can leave out, and other WebSocket servers.
//
//	peers <name> [-addr 127.0.0.1:0] [-loops 0]
//
// It is a module of its own, so that godwit does not depend on what it is compared
// with. A driver talks to it as package control says. It runs on Linux only.
//
// The floors are:
//
//   - write-loop: one write(2) after another, of the same bytes to every socket. It
//     contains the system call and the kernel's way to the receiver; it leaves out
//     everything that decides what goes where: no event loop, no message, no queue.
//     A socket that takes no more is tried again in the next pass.
//   - gnet-bare: an event loop of gnet on every core, the upgrade of gobwas/ws over
//     exactly the bytes of the request, frames parsed in place and echoed with one
//     write for all that one read brought. It contains what a server on gnet needs
//     for a connection; it leaves out sessions, tokens, timers, limits other than
//     of size, and close handshakes. A list by descriptor, of which push has need,
//     costs it 16 bytes a connection and loop.
//   - kafka-loop: one producer and one consumer of franz-go in one process, with the
//     settings of godwit's, and records like godwit's. It contains making and
//     acknowledging the records and reading their headers back; it leaves out
//     flights and retries, the hand-over to workers, the tail, and duplicates.
//     Asked to, it adds an echo on gnet-bare for each message, with the client in a
//     process of its own.
//
// The others are gws, gorilla, nbio, greatws and centrifuge. Each is used as its
// own documentation and benchmarks advise for many connections; the comment in its
// file says what was set and why. None of them authenticates, and all push the same
// frame to everyone. A push to several frames a write bypasses those that have no
// call for it, and uses their connection directly.
//
// Three things to know before comparing:
//
//   - All of them are in one program, and the packages of all begin to work in every
//     process. Compare what connections add, not what a process has to begin with.
//   - centrifuge is the library that Centrifugo is made of, version 0.38.0. The
//     server itself, Centrifugo 6.9.1 with its Kafka consumer, does not build from
//     the public module proxy: it needs the unreleased version
//     v0.38.1-0.20260711082514-84d40cc4dbf6 of that library, which the proxy refuses
//     (403), and does not compile with 0.38.0.
//   - greatws 0.2.2 forgets a frame when a socket takes none of its bytes at once
//     (connWrite keeps a rest only if something was written), so under backlog its
//     clients get fewer frames than were sent.
package main
