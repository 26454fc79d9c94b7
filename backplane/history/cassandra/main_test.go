package cassandra_test

import (
	"testing"

	"github.com/godwit-im/godwit/backplane/history/cassandratest"
)

func TestMain(m *testing.M) { cassandratest.Main(m) }
