// Package backplane says what a message is, where it lives in the log, and
// what the server asks of a log.
//
// It holds the types that every other package shares (Message, MessageID,
// Position, Partition) and two contracts: Producer, through which a send
// becomes records, and Consumer, through which records come back. It has no
// IO, starts no goroutine and reads no clock; the packages below it
// (backplane/kafka, backplane/embedded) do that.
//
// Everything here is safe to call from any goroutine unless a type says
// otherwise: the functions are pure, and the types are plain values.
package backplane
