package historian

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/godwit-im/godwit/backplane/history"
	"github.com/godwit-im/godwit/backplane/history/cassandra"
	"github.com/godwit-im/godwit/backplane/history/pebble"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/server/config"
)

// identityTimeout bounds the question which Kafka it is.
const identityTimeout = 30 * time.Second

// Open opens the store that the settings name; nil if they name none. It asks kc's Kafka
// which cluster it is: the error is history.ErrForeign for a store of another one's topics.
// Whoever opened the store closes it, after the Historian that writes into it.
func Open(ctx context.Context, c *config.Config, kc kafka.Config, log *slog.Logger) (history.Store, error) {
	if c.History.Store == config.HistoryNone {
		return nil, nil
	}
	asking, cancel := context.WithTimeout(ctx, identityTimeout)
	defer cancel()
	cluster, err := kafka.ClusterID(asking, kc)
	if err != nil {
		return nil, err
	}
	if c.History.Store == config.HistoryPebble {
		o := PebbleOptions(c, log)
		o.Cluster = cluster
		s, err := pebble.Open(c.History.Folder, o)
		if err != nil {
			return nil, fmt.Errorf("history.folder is %q: %w", c.History.Folder, err)
		}
		return s, nil
	}
	cc, err := CassandraConfig(c, log)
	if err != nil {
		return nil, err
	}
	cc.Cluster = cluster
	s, err := cassandra.Open(ctx, cc)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// PebbleOptions returns how the node's Pebble store is opened, whatever cluster it is of.
func PebbleOptions(c *config.Config, log *slog.Logger) pebble.Options {
	return pebble.Options{Namespace: c.Kafka.Namespace, Log: log}
}

// CassandraConfig returns how Cassandra is spoken to, about a store of whatever cluster.
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
