// Package workload is the load of a verification run: users with several devices each,
// which send to one another, read, and behave as badly as real ones do, and which write
// down what they do and what they see as events.
//
// Half of the devices are the plain client of tools/verify/wire, in either encoding, and
// do for themselves what docs/protocol.md asks of a client: they find the node that serves
// their user, follow it when it moves, keep cursors, retry, and fetch what gaps have told.
// The other half are programs that use tools/client. All of them read slowly at times, stop
// reading, lose their connections, stay away, go back to older cursors, begin anew without
// one, let tokens expire and turn pages of history.
//
// What a device chooses comes from the seed, its user and its name, and never from the
// clock: the n-th message of a device and its n-th misdeed are the same in every run. When
// they happen, and what the cluster makes of them, is not.
//
// Different users use the same device names and the same ids for their messages, and many
// of those have the same content: a cluster that took two of them for one would lose
// messages.
//
// It is not for measuring, and not for judging what came: tools/verify/check does that with
// the events. It keeps count of what is missing only to know when to stop waiting.
//
// The methods of a Load are called by one goroutine, in the order Connect, Send, Steady,
// Reconnect, Drain, Settle, ReadHistory, Close; any goroutine may call Users, Counts and
// Steady at any time, and Close ends whatever waits.
package workload
