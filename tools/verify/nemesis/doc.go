// Package nemesis does faults to a cluster under test, by a schedule, and shows of each
// that it has hit.
//
// A schedule follows from a seed and Settings alone: Schedule opens nothing and reads no
// clock. Run carries it out on a World, as far as the world keeps up: a step whose turn has
// come waits until what it must not meet is over. So a schedule that never has all nodes
// down is never carried out as one that does.
//
// The package knows what may be done to which part of a cluster. How it is done is known
// to the World alone, and what follows for messages to neither.
//
// Any goroutine may call Schedule. Run is called by one and returns when all is over.
package nemesis
