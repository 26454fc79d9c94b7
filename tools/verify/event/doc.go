// Package event is the history of a verification run as a file: what the clients of
// a cluster did and saw, what was done to the cluster, and what was read from it
// afterwards, one JSON object a line. docs/verify.md describes the format for those
// who check such a file with tools of their own.
//
// It is not for judging a history, which tools/verify/check does, and knows nothing of
// sockets or processes. It opens no file, starts no goroutine and reads no clock.
//
// Events are plain values. A Writer may be called from any goroutine. A reader belongs
// to the goroutine that iterates over it.
package event
