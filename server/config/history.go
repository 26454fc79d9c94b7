package config

import (
	"slices"
	"strings"

	"github.com/godwit-im/godwit/server/placement"
)

func (c *Config) checkHistory(wrong *findings) {
	h := &c.History
	oneOf(wrong, "history.store", h.Store, HistoryNone, HistoryPebble, HistoryCassandra)
	if h.Retention != 0 {
		between(wrong, "history.retention", h.Retention, minRetention, maxRetention)
	}
	switch h.Store {
	case HistoryPebble:
		c.checkPebble(wrong)
	case HistoryCassandra:
		h.Cassandra.check(wrong)
	}
}

func (c *Config) checkPebble(wrong *findings) {
	if c.History.Folder == "" {
		wrong.add("history.folder", "", "must name a folder, because history.store is %q", HistoryPebble)
	}
	if len(c.Map) > 0 || !slices.Equal(c.Partitions, placement.All(c.Kafka.Partitions)) {
		wrong.add("history.store", c.History.Store, "must be %q or %q for several nodes: the files of %q belong to one node, and the others could not read what it has",
			HistoryCassandra, HistoryNone, HistoryPebble)
	}
}

func (c *Cassandra) check(wrong *findings) {
	if len(c.Hosts) == 0 {
		wrong.add("history.cassandra.hosts", "", "must name at least one host")
	}
	if !keyspaces.MatchString(c.Keyspace) {
		wrong.add("history.cassandra.keyspace", c.Keyspace, `must be 1 to 48 of the characters a-z, 0-9 and "_", and begin with a letter`)
	}
	oneOf(wrong, "history.cassandra.consistency", strings.ToUpper(c.Consistency), "LOCAL_QUORUM", "QUORUM")
	between(wrong, "history.cassandra.replication", c.Replication, 1, maxReplication)
	if (c.User == "") != (c.PasswordFile == "") {
		wrong.add("history.cassandra.user", c.User, "must be set together with history.cassandra.password_file, which is %q", c.PasswordFile)
	}
	c.TLS.check(wrong, "history.cassandra.tls")
}
