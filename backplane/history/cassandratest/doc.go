// Package cassandratest gives tests a Cassandra. It is not for production code.
//
// It is the one that GODWIT_CASSANDRA_HOSTS names (host or host:port, separated by
// commas), or one that tools/cassandra/cassandra.sh starts for the test process, which
// needs Java and the jars in the cache folder. Where there is neither, or with -short,
// the tests that need it are skipped; with GODWIT_REQUIRE_SERVICES=1 the jars are
// fetched, and what is still missing fails the test.
//
// A package whose tests use this one calls Main in its TestMain: it stops the process
// at the end and looks for goroutines that are left.
//
// Every store has a keyspace of its own, so tests do not meet. The functions are called
// by tests' goroutines; the methods of Process by one at a time.
package cassandratest
