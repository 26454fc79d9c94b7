package historian

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/godwit-im/godwit/backplane/history"
	"github.com/godwit-im/godwit/backplane/history/cassandra"
	"github.com/godwit-im/godwit/backplane/history/pebble"
	"github.com/godwit-im/godwit/server/config"
)

// Open opens the store that the settings name; nil if they name none. Whoever opened it
// closes it, after the Historian that writes into it.
func Open(ctx context.Context, c *config.Config, log *slog.Logger) (history.Store, error) {
	switch c.History.Store {
	case config.HistoryPebble:
		s, err := pebble.Open(c.History.Folder, PebbleOptions(c, log))
		if err != nil {
			return nil, fmt.Errorf("history.folder is %q: %w", c.History.Folder, err)
		}
		return s, nil
	case config.HistoryCassandra:
		cc, err := CassandraConfig(c, log)
		if err != nil {
			return nil, err
		}
		s, err := cassandra.Open(ctx, cc)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	return nil, nil
}

// PebbleOptions returns how the node's Pebble store is opened.
func PebbleOptions(c *config.Config, log *slog.Logger) pebble.Options {
	return pebble.Options{Namespace: c.Kafka.Namespace, Log: log}
}

// CassandraConfig returns how Cassandra is spoken to.
func CassandraConfig(c *config.Config, log *slog.Logger) (cassandra.Config, error) {
	s := &c.History.Cassandra
	cc := cassandra.DefaultConfig()
	cc.Hosts, cc.Keyspace, cc.Datacenter = s.Hosts, s.Keyspace, s.Datacenter
	cc.Namespace, cc.Retention, cc.Replication = c.Kafka.Namespace, c.History.Retention, s.Replication
	cc.Consistency = cassandra.Consistency(strings.ToUpper(s.Consistency))
	cc.Username, cc.Logger = s.User, log
	var err error
	if cc.Password, err = s.Password(); err != nil {
		return cc, err
	}
	cc.TLS, err = s.TLS.Config("history.cassandra.tls")
	return cc, err
}
