package cassandra_test

import (
	"flag"
	"testing"

	"github.com/godwit-im/godwit/backplane/history/cassandratest"
)

func TestMain(m *testing.M) {
	// Each check of the conformance suite's model is some hundred requests. The command
	// line may ask for more.
	if err := flag.Set("rapid.checks", "10"); err != nil {
		panic(err)
	}
	cassandratest.Main(m)
}
