// Package control lets a benchmark drive a server that runs as a process of its
// own: it says what the driver and the process tell each other, and measures the
// process from within.
//
// The process prints one line of JSON, a Ready, when it listens. From then on it
// reads commands from its standard input, one line of JSON each, and answers each
// with one line of JSON, in order:
//
//	{"cmd":"push","size":512,"count":100,"batch":1}  a PushResult
//	{"cmd":"stats"}                                  a Stats
//	{"cmd":"kafka",...}                              a KafkaResult; the fields are those of Kafka
//	{"cmd":"quit"}                                   {}; then the process ends
//
// What goes wrong is answered with {"error":"..."}, and so is a command or a field
// that is not known: a misspelt field must not measure something else than what
// was asked for. The end of the input ends the process as well, and cuts short
// what it is doing.
//
// It is not for the load: clients connect to the address in Ready, and the driver
// has them from elsewhere.
//
// Serve belongs to the goroutine that calls it, and calls all methods of a Peer
// from there. The functions that measure may be called by any goroutine.
package control
