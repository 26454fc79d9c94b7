// Package ring has the two bounded queues between the log and a socket.
//
// Mailbox leads from the dispatch workers, and from whoever answers, to one
// loop: bounded, lock-free, many producers, one consumer. Outbox leads from the
// loop to one connection: bounded, and touched by that loop alone, so it needs
// no lock and no atomic.
//
// They are two because their full states mean different things. A full Mailbox
// says that the loop is short of CPU: all its clients suffer alike, and the
// right answer is to wait, so that the lag stays in the log. A full Outbox says
// that one client does not read: the right answer concerns this client alone,
// and nobody waits. One queue per connection that producers and the writable
// event share would need a lock or an atomic on every step, and would put
// sequence numbers on messages before it is known that there is room.
package ring
