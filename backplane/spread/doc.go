// Package spread measures how evenly users spread over partitions.
//
// It has ids of the shapes that users give them (Shape), and the measures that tell
// a good spread from a bad one (Measure). It is what the command hash-check and the
// test of the partition function use; the message path does not.
//
// Everything is pure, and any goroutine may call it.
package spread
