// Package foreign tests the server with clients that are not ours: the WebSocket
// packages of Python (websockets) and of Node.js (ws), and a browser, Chromium,
// with the demo page in it.
//
// All of it is tests. In clients/ is a program for each language, written from
// docs/protocol.md and codec/godwit.proto on what the language offers, with nothing
// of this repository's code: one device of one user, told what to do by lines on its
// standard input. It judges the numbers and message ids that it gets by itself. The
// tests run it as a process, against a node that is a process too. The other program
// there, vectors, computes the published vectors anew.
//
// Depth is not the aim here: what a server does under load, with faults, or to a
// client that misbehaves is tested in package e2e, which has a client that can.
//
// The runtimes come from tools/setup. A test whose runtime is missing is skipped, or
// fails with GODWIT_REQUIRE_SERVICES=1. A test's goroutine calls all helpers.
package foreign
