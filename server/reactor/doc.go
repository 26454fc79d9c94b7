// Package reactor runs the connections: it accepts, reads, writes and closes, and
// is the only user of gnet.
//
// Each of its loops is one goroutine of gnet that owns its connections wholly:
// their descriptors, their sessions, their outboxes and their deadlines. All else
// talks to a loop by leaving something and ringing its doorbell:
//
//   - dispatch workers leave entries in its mailbox (Reactor.Deliver), and wait
//     when that is full;
//   - whoever works for a session leaves an answer in its lane, where there is
//     always room;
//   - the poller leaves handles of sockets that became writable.
//
// The doorbell is one atomic flag: the first to set it has gnet run the loop's
// pass, which takes everything, puts frames on outboxes, and then writes once to
// each connection that got something. gnet's own write path is not used: its
// buffer has no bound and does not tell when it is empty. So the reactor writes to
// the descriptor itself, and when the kernel takes no more, a second epoll
// instance, watched by the poller's goroutine, tells when to go on.
//
// Reactor's methods may be called from any goroutine. Everything on loop and
// conn is called on the loop, unless its comment says otherwise.
package reactor
