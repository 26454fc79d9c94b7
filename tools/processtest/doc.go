// Package processtest builds and runs programs for tests: the godwit command above
// all, and clients that are not written in Go.
//
// A Process ends with the test that has started it, and with the test's process,
// however that ends; so does whatever it has started itself. What it writes is kept,
// and shown when the test fails. A report of the race detector in it fails the test.
//
// It is for tests only, and knows nothing of what the programs say. Apache Kafka and
// Cassandra have packages of their own, since several tests share one.
//
// A test's goroutine calls everything here that takes a testing.TB; the rest may be
// called by any goroutine.
package processtest
