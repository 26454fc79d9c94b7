// Package godwitpb is the Go code that protoc-gen-go makes of
// codec/godwit.proto.
//
// It is the reference that the tests of package codec compare the hand-written
// encoding with, and it shows authors of clients what generated code for their
// language will look like. The server does not use it: it allocates for every
// frame, and it cannot refuse a limit before it has taken the memory.
//
// Generated messages are plain values. Like all of them they may be read by
// several goroutines at once, and written by one.
package godwitpb
