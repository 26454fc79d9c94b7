package cassandra_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/history"
	"github.com/godwit-im/godwit/backplane/history/cassandra"
)

// testOpen: only what belongs to the configuration is opened or created.
func testOpen(t *testing.T, cfg cassandra.Config) {
	if err := cassandra.Create(t.Context(), cfg); err != nil {
		t.Errorf("Create, again: %v", err)
	}
	// It belongs to the first cluster for which it was opened.
	for _, cluster := range []string{"", "", "one", "", "one"} {
		cfg.Cluster = cluster
		open(t, cfg)
		if err := cassandra.Create(t.Context(), cfg); err != nil {
			t.Errorf("Create, for %q: %v", cluster, err)
		}
	}
	for name, change := range map[string]func(*cassandra.Config){
		"namespace": func(c *cassandra.Config) { c.Namespace += "x" },
		"cluster":   func(c *cassandra.Config) { c.Cluster = "two" },
	} {
		other := cfg
		change(&other)
		if _, err := cassandra.Open(t.Context(), other); !errors.Is(err, history.ErrForeign) {
			t.Errorf("Open with another %s: %v", name, err)
		}
		if err := cassandra.Create(t.Context(), other); !errors.Is(err, history.ErrForeign) {
			t.Errorf("Create with another %s: %v", name, err)
		}
	}
	other := cfg
	other.Keyspace += "x"
	if _, err := cassandra.Open(t.Context(), other); !errors.Is(err, cassandra.ErrMissing) {
		t.Errorf("Open of no keyspace: %v", err)
	}
	other = cfg
	other.Datacenter = "nowhere"
	var temporary *cassandra.Error
	if _, err := cassandra.Open(t.Context(), other); !errors.As(err, &temporary) {
		t.Errorf("Open of a data centre without nodes: %v", err)
	}
	other.Datacenter = "datacenter1" // of Cassandra's SimpleSnitch
	open(t, other)

	if err := raw(t, cfg).Query("INSERT INTO setting (id, name, since, value) VALUES (0, 'format', 0, '0')").Exec(); err != nil {
		t.Fatal(err)
	}
	if _, err := cassandra.Open(t.Context(), cfg); !errors.Is(err, history.ErrForeign) {
		t.Errorf("Open of another format: %v", err)
	}
}

func TestValidate(t *testing.T) {
	good := cassandra.DefaultConfig()
	good.Hosts = []string{"c1"}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*cassandra.Config){
		"Hosts is empty":         func(c *cassandra.Config) { c.Hosts = nil },
		"an empty address":       func(c *cassandra.Config) { c.Hosts = []string{"c1", ""} },
		"Keyspace is":            func(c *cassandra.Config) { c.Keyspace = "a; DROP" },
		"Namespace is empty":     func(c *cassandra.Config) { c.Namespace = "" },
		"Consistency is":         func(c *cassandra.Config) { c.Consistency = "ONE" },
		"Replication is":         func(c *cassandra.Config) { c.Replication = 0 },
		"Password is set":        func(c *cassandra.Config) { c.Password = "x" },
		"Retention is -1s":       func(c *cassandra.Config) { c.Retention = -time.Second },
		"Retention is 1m0s":      func(c *cassandra.Config) { c.Retention = time.Minute },
		"Retention is 1h0m0.0":   func(c *cassandra.Config) { c.Retention = time.Hour + 1000 },
		"Retention is 87600h0m0": func(c *cassandra.Config) { c.Retention = 10 * 365 * days },
		"Timeout is":             func(c *cassandra.Config) { c.Timeout = 0 },
		"Connections is":         func(c *cassandra.Config) { c.Connections = 0 },
		"Concurrency is":         func(c *cassandra.Config) { c.Concurrency = 1 << 20 },
	} {
		bad := good
		change(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
		if _, err := cassandra.Open(t.Context(), bad); err == nil {
			t.Errorf("%s: Open took it", want)
		}
	}
}
