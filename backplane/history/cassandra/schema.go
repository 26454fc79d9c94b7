package cassandra

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/godwit-im/godwit/backplane/history"
)

// tables are the definitions, but for the keyspace's name (%[1]s) and what is for
// tables whose rows go by age (%[2]s).
var tables = []string{
	`CREATE TABLE IF NOT EXISTS %[1]s.timeline (
		user blob, generation bigint, bucket bigint, offset bigint,
		time bigint, expires bigint, value blob,
		PRIMARY KEY ((user, generation, bucket), offset)
	) WITH CLUSTERING ORDER BY (offset DESC)%[2]s`,
	`CREATE TABLE IF NOT EXISTS %[1]s.conversation (
		user blob, generation bigint, peer blob, bucket bigint, offset bigint,
		PRIMARY KEY ((user, generation, peer, bucket), offset)
	) WITH CLUSTERING ORDER BY (offset DESC)%[2]s`,
	`CREATE TABLE IF NOT EXISTS %[1]s.bucket (
		user blob, generation bigint, peer blob, bucket bigint,
		PRIMARY KEY ((user, generation), peer, bucket)
	) WITH CLUSTERING ORDER BY (peer ASC, bucket DESC)`,
	`CREATE TABLE IF NOT EXISTS %[1]s.erasure (
		user blob, generation bigint, offset bigint,
		PRIMARY KEY ((user, generation))
	)`,
	`CREATE TABLE IF NOT EXISTS %[1]s.applied (
		generation bigint, slice int, partition int,
		offset bigint, time bigint, entry bigint, floor bigint,
		PRIMARY KEY ((generation, slice), partition)
	)`,
	`CREATE TABLE IF NOT EXISTS %[1]s.day (
		generation bigint, partition int, day bigint, before bigint,
		PRIMARY KEY ((generation, partition), day)
	)`,
	`CREATE TABLE IF NOT EXISTS %[1]s.setting (
		id int, name text, since bigint, value text,
		PRIMARY KEY (id, name, since)
	)`,
}

// data are the tables that Reset empties.
var data = []string{"applied", "day", "erasure", "bucket", "conversation", "timeline"}

// Create makes the keyspace and the tables where there are none. What exists stays as it
// is, so it may be called again; its error is history.ErrForeign where the tables belong
// to another version, namespace or cluster. Which cluster's they are is written down by the
// first Open that knows it.
func Create(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	session, err := connect(ctx, &cfg, adminTimeout)
	if err != nil {
		return err
	}
	defer session.Close()
	for _, stmt := range statementsOf(&cfg) {
		if err := session.Query(stmt).ExecContext(ctx); err != nil {
			return failed("create", err)
		}
	}
	return failed("create", claim(ctx, session, &cfg))
}

// statementsOf returns what Create executes.
func statementsOf(cfg *Config) []string {
	replicas := fmt.Sprintf("'replication_factor': %d", cfg.Replication)
	if cfg.Datacenter != "" {
		replicas = fmt.Sprintf("'%s': %d", strings.ReplaceAll(cfg.Datacenter, "'", "''"), cfg.Replication)
	}
	list := []string{fmt.Sprintf(
		"CREATE KEYSPACE IF NOT EXISTS %s WITH replication = {'class': 'NetworkTopologyStrategy', %s}", cfg.Keyspace, replicas)}
	for _, t := range tables {
		list = append(list, fmt.Sprintf(t, cfg.Keyspace, byAge(cfg.Retention)))
	}
	return list
}

// byAge returns the compaction of tables whose rows all go at about the same age: files
// of one window each, which are deleted whole. Some 30 windows are what the strategy
// is made for. Rows that stay for ever are better off with Cassandra's default.
func byAge(retention time.Duration) string {
	if retention == 0 {
		return ""
	}
	const day = 24 * time.Hour
	days := max(1, (retention+30*day-1)/(30*day))
	return fmt.Sprintf(` AND compaction = {'class': 'TimeWindowCompactionStrategy',
		'compaction_window_unit': 'DAYS', 'compaction_window_size': '%d'}`, days)
}

// claim writes down whose tables these are, or makes sure that they are cfg's.
func claim(ctx context.Context, session *session, cfg *Config) error {
	set, err := readSettings(ctx, session, cfg.Keyspace)
	if err != nil {
		return err
	}
	if set.format == "" {
		// The format comes last: without it, the tables are still nobody's.
		for _, row := range [][2]string{{nameNamespace, cfg.Namespace}, {nameFormat, format}} {
			if err := session.Query(fmt.Sprintf(insertSetting, cfg.Keyspace), row[0], int64(0), row[1]).ExecContext(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	return set.belongsTo(cfg)
}

// belongsTo returns history.ErrForeign unless these are settings that this version wrote
// for the topics of cfg.
func (set *settings) belongsTo(cfg *Config) error {
	if set.format != format {
		return fmt.Errorf("%w: keyspace %s has format %q, and this version knows %q", history.ErrForeign, cfg.Keyspace, set.format, format)
	}
	if set.namespace != cfg.Namespace || set.cluster != cfg.Cluster && set.cluster != "" && cfg.Cluster != "" {
		return fmt.Errorf("%w: keyspace %s keeps the timelines of namespace %q of the Kafka cluster %q, and not those of %q of %q: these need a keyspace of their own",
			history.ErrForeign, cfg.Keyspace, set.namespace, set.cluster, cfg.Namespace, cfg.Cluster)
	}
	return nil
}
