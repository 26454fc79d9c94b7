// Package e2e tests the whole server from outside: it builds the godwit command,
// runs it as a process of its own on free ports of the loopback address, and
// speaks to it over sockets.
//
// All of it is tests. The client that they use (socket, device, timeline) is
// written from the protocol's description, on nothing but package codec, and is
// not tools/client: it is a second opinion on the protocol, it checks every rule
// that a client can see, and it can misbehave. Only the tests of clusters use
// tools/client (crowd), because what becomes of users there depends on how clients
// find the node that serves them.
//
// Nearly all tests run on the embedded broker and on Apache Kafka; see package
// kafkatest for where that comes from. What needs no process is not tested here but
// in the package that it is in.
//
// A test's goroutine calls all helpers. Each device that reads has one goroutine
// more, which ends with the test.
package e2e
