// Package e2e tests the program peers from outside: it builds it, starts each peer as
// a driver does, and connects to it. It has no code besides its tests, and is not for
// what a test of a single function can show; those stand beside the functions.
//
// The tests with Kafka use a broker as package kafkatest says. A client's connection
// is used by one goroutine at a time, and so is a process.
package e2e
