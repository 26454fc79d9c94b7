// Package buffer lends the buffers of bytebufferpool by size class.
//
// A single pool would break the promise that a peer pays for memory with bytes:
// it hands out what others gave back, up to the size of a large message,
// so one byte of a frame, or a short ack, could hold on to 64 KB. There is a pool for
// each class of capacities instead, and a buffer moves up a class when it is full:
// what it holds is at most Min or half as much again as what is in it.
//
// The functions may be called from any goroutine; a buffer belongs to who took it.
package buffer
