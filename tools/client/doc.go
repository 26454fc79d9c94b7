// Package client speaks the godwit.v1 protocol from the client's side: it keeps a
// connection to the node that serves its user, sends messages until their outcome
// is known, hands over what arrives in order and without a hole, and reads the past.
//
//	c, err := client.New(client.Options{
//		URLs:      []string{"ws://127.0.0.1:8080"},
//		Token:     client.StaticToken(token),
//		OnMessage: func(m client.Message) { fmt.Printf("%s: %s\n", m.From, m.Body) },
//	})
//	...
//	go c.Run(ctx)
//	ack, err := c.Send(ctx, client.Outgoing{To: []string{"bob"}, Body: []byte("hello")})
//
// # Connections
//
// Run connects and connects again, to the node that serves the user, wherever that is. Any
// nodes will do to begin with; each directs to the right one, and the client remembers those
// that it hears of. When one is down, the others are asked who has taken its place.
// After a failure the client leaves that node alone for a random time below a bound that
// doubles each time and is back at its least after a stable connection. It goes where it is
// directed, a bounded number of times in a row, never from TLS to plain text, and never by an
// older map than it knows. While the others answer, and name the node that has failed, it asks
// again every 1.5 s or so, for up to half a minute: they are about to decide who takes its place.
//
// A node may hang: the connection stays, and nothing comes. A client that awaits an answer pings
// after 3 s of silence, and gives the node up 5 s later. One that awaits nothing pings as rarely as
// the server asks for, once a minute as a rule, and so finds out later; while it sends
// nothing it costs nothing either. Where no welcome comes from a node, the others
// are asked after 2 s whether it is the right one.
//
// A client that is told to move opens the way to the new node before it leaves the
// old one, so that the stream pauses no longer than the new node takes for one answer, and waits on the old
// connection for the answers that are still to come there. It moves by itself when its node has
// lost the log and another one has taken its place.
//
// Run ends when its context does, or with an error when the server says that connecting
// again is pointless: a close code of 4000 to 4099, or a refusal such as 401 when there is no
// other token to try.
//
// # Sends
//
// Send tries again, always with the same id, when the server says so, when the
// outcome is unknown, and when the connection is lost, for 20 s after its first
// attempt. The server drops what it has stored already, so trying again makes no
// second message. If the outcome is still unknown then, Send looks for the message in the
// user's timeline and says in its error whether it is there. The server recognises a retry
// on a new connection by the name of the device; where the options give none, New makes a
// random one that lasts as long as the Client does. A program that wants to retry after its
// own restart must use a name, and ids, of its own.
//
// # Deliveries
//
// All callbacks are called one at a time, in the order in which things happened. What
// arrives waits for them in a bounded queue; when that is full, the socket is not read.
// With Options.Overflow at its default the server then goes on from the timeline, where
// nothing is lost; else it drops what does not fit into its own queue, and OnGap says which
// deliveries that were. Sequence numbers are checked, and a hole that no gap explains goes
// to OnError.
//
// OnMessage is told one timeline, whatever connections it takes: each connection goes on
// where the one before ended, and a message that has come is not told again. What will
// never come, because the time to keep it is over or the log was made anew, goes to OnGone.
//
// That lasts as long as the Client does. A program that goes on where it was after its
// own restart keeps a cursor and gives it as Options.Cursor: the Cursor of the last message
// that it has dealt with, kept along with it, or from time to time what Client.Cursor
// returns. What it has dealt with after the cursor that it kept comes again; the
// MessageID tells.
//
// History reads any part of the timeline, page by page, apart from that.
//
// # What it is not for
//
// It keeps no messages, stores no cursor, and is no load generator: it spends a few
// goroutines on each connection.
//
// # Goroutines
//
// Any goroutine may call Send, History, Refresh and Cursor, at any time; what the server does not
// take yet, because too much is under way, waits for its turn. Run is called once, and owns
// all the goroutines of the Client: none is left when it returns. Callbacks run on
// one of them. A callback should not wait for Send or History: answers are read from the
// same connection that stops being read when the queue is full.
package client
