// Package load makes the other end of a node for measuring: many connections of
// many users in one process, what they send each other, and the proof that it
// arrived.
//
// A Generator has a few loops, each one goroutine on a thread of its own with an
// epoll instance. A connection is a struct of about a hundred bytes in its loop's
// slots: no goroutine, no timer, and no buffer unless a frame or a write is
// incomplete. With Config.Tables each thread has its own table of descriptors, so
// that one process holds a million connections whatever RLIMIT_NOFILE says.
//
// It speaks godwit.v1 in both encodings, and a plain mode for other servers: an
// upgrade without a token, frames that are only counted, and echoes.
//
// Every message carries its sender, its number and the time at which it was meant
// to be sent. So latencies do not hide that a sender was late (coordinated
// omission), and at the end of a run each connection's deliveries are compared with
// what was acknowledged: one that is lost, doubled or changed is counted (Check).
//
// A connection keeps the last cursor that it was told. With Leave and Return some are away
// during a run and go on from there: what they missed is checked like everything else.
//
// With Config.Follow connections find the nodes that serve their users, and come back when
// they are lost, as the protocol has it: by redirects, questions for the route, and pauses
// that grow and are random. So a generator drives a cluster through the death of a node.
// That takes 56 bytes more for each.
//
// It is not a client to build on: it never resends, and without Follow it never retries and
// stays away when it is refused. That is for package tools/client. It has no TLS.
//
// The methods of Generator may be called from any goroutine: one of those that open
// connections (or Back) at a time, one Run beside it, and Stats at any time. Close comes last.
// Everything on loop and conn belongs to the loop's thread.
package load
