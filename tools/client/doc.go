// Package client speaks the godwit.v1 protocol from the client's side: it keeps a
// connection to the node that serves its user, sends messages until their outcome
// is known, and hands over what arrives.
//
//	c, err := client.New(client.Options{
//		URL:       "ws://127.0.0.1:8080",
//		Token:     client.StaticToken(token),
//		OnMessage: func(m client.Message) { fmt.Printf("%s: %s\n", m.From, m.Body) },
//	})
//	...
//	go c.Run(ctx)
//	ack, err := c.Send(ctx, client.Outgoing{To: []string{"bob"}, Body: []byte("hello")})
//
// # Connections
//
// Run connects and connects again. After a failure it waits a random time below a
// bound that doubles each time and is back at its least after a stable connection.
// It goes where the server directs it, a bounded number of times in a row, never
// from TLS to plain text. It ends when its context does, or with an error when the
// server says that connecting again is pointless: a close code of 4000 to 4099, or a
// refusal such as 401 when there is no other token to try.
//
// # Sends
//
// Send tries again, always with the same id, when the server says so, when the
// outcome is unknown, and when the connection is lost, for 20 s after its first
// attempt. The server drops what it has stored already, so trying again makes no
// second message. It recognises a retry on a new connection by the name of the device; where
// the options give none, New makes a random one that lasts as long as the Client does.
// A program that wants to retry after its own restart must use a name, and ids, of
// its own.
//
// # Deliveries
//
// All callbacks are called one at a time, in the order in which things happened. What
// arrives waits for them in a bounded queue; when that is full, the socket is not read.
// The server then drops what does not fit into its own queue and tells so: OnGap says
// which deliveries are lost. Sequence numbers are checked, and a hole that no gap
// explains goes to OnError.
//
// This version cannot resume: what is stored while the client is not connected does
// not arrive on the next connection. Around a reconnect a message may also arrive on
// both connections; its MessageID tells.
//
// # What it is not for
//
// It keeps no messages and no cursors, does not fetch the past, and is no load
// generator: it spends a few goroutines on each connection.
//
// # Goroutines
//
// Any goroutine may call Send and Refresh, at any time. Run is called once, and owns
// all the goroutines of the Client: none is left when it returns. Callbacks run on
// one of them. A callback should not wait for Send: acks are read by the same
// connection that stops being read when the queue is full.
package client
