package cassandratest

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/apache/cassandra-gocql-driver/v2"
	"github.com/godwit-im/godwit/backplane/history/cassandra"
	"go.uber.org/goleak"
)

const (
	// hostsVariable names a Cassandra that runs already.
	hostsVariable = "GODWIT_CASSANDRA_HOSTS"
	// requireVariable, if 1, makes a test fail that has no Cassandra.
	requireVariable = "GODWIT_REQUIRE_SERVICES"

	createTimeout = time.Minute
)

// Main runs a package's tests, stops what they started, and ends the process. The
// tests have failed if a goroutine is left.
func Main(m *testing.M) {
	code := m.Run()
	Stop()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "cassandratest:", err)
		code = 1
	}
	os.Exit(code)
}

// Stop stops what the tests of a process share. It is for a TestMain that does without
// Main.
func Stop() { shared.stop() }

// Config returns the configuration of a new and empty keyspace, in which timelines are
// kept for ever.
func Config(t testing.TB) cassandra.Config {
	t.Helper()
	cfg := newConfig(t, shared.hosts(t))
	if os.Getenv(hostsVariable) != "" {
		t.Cleanup(func() { drop(t, cfg) }) // others use it too
	}
	return cfg
}

func newConfig(t testing.TB, hosts []string) cassandra.Config {
	t.Helper()
	cfg := cassandra.DefaultConfig()
	cfg.Hosts = hosts
	cfg.Keyspace = "test_" + strings.ToLower(rand.Text()[:12])
	cfg.Namespace = cfg.Keyspace
	cfg.Replication = 1
	cfg.Retention = 0
	cfg.Timeout = 30 * time.Second // machines that test are busy
	ctx, cancel := context.WithTimeout(context.Background(), createTimeout)
	defer cancel()
	if err := cassandra.Create(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// drop removes a keyspace.
func drop(t testing.TB, cfg cassandra.Config) {
	c := gocql.NewCluster(cfg.Hosts...)
	c.Timeout, c.ConnectTimeout = createTimeout, createTimeout
	session, err := c.CreateSession()
	if err != nil {
		t.Error(err)
		return
	}
	defer session.Close()
	if err := session.Query("DROP KEYSPACE IF EXISTS " + cfg.Keyspace).Exec(); err != nil {
		t.Error(err)
	}
}
