// Package kafkatest gives tests a broker: the embedded one always, and Apache
// Kafka where there is one. It is not for production code.
//
// Each runs a test on both. Apache Kafka is the one that GODWIT_KAFKA_BROKERS names
// (host:port, separated by commas), or one that tools/kafka/kafka.sh starts for the
// test process, which needs Java and the jars in the cache folder. Where there is
// neither, or with -short, the tests that need it are skipped; with
// GODWIT_REQUIRE_SERVICES=1 the jars are fetched, and what is still missing fails
// the test.
//
// A package whose tests use this one calls Main in its TestMain: it stops the
// broker at the end and looks for goroutines that are left.
//
// Private and Cluster start nodes for one test, which may kill, stop and pause them:
// one by itself, or several that replicate to one another. TwoWays starts one that some
// clients reach by a way that the test may cut.
//
// Every topic is under a namespace of its own, so tests do not meet. The functions
// are called by tests' goroutines; the methods of Process by one at a time.
package kafkatest
