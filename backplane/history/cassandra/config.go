package cassandra

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"
)

// Consistency is how many replicas answer before a read or a write has succeeded.
type Consistency string

// Reads and writes must meet in a replica, so these are all that there are.
const (
	// LocalQuorum asks most replicas of one data centre. All of godwit must use the same.
	LocalQuorum Consistency = "LOCAL_QUORUM"
	// Quorum asks most replicas of all data centres.
	Quorum Consistency = "QUORUM"
)

// Config says which Cassandra to use and how. Begin with DefaultConfig; a Config must
// not be changed once something was made from it.
type Config struct {
	// Hosts are the addresses, host or host:port, that the first connection is tried at.
	Hosts []string
	// Keyspace has the tables of one godwit.
	Keyspace string
	// Namespace and Cluster name the topics whose messages the store keeps, by godwit's
	// namespace and by the id that Kafka gave its cluster. A store of others is not opened.
	// One that was opened without a cluster so far is given this one; without one, the store
	// of any is opened.
	Namespace, Cluster string

	// Datacenter is where the nodes are that are connected to; it may be empty where
	// there is but one.
	Datacenter string
	// Consistency is that of every read and write.
	Consistency Consistency
	// Replication is how many replicas Create asks for, in each data centre.
	Replication int

	// Username and Password authenticate; an empty Username does not.
	Username, Password string
	// TLS makes connections encrypted; nil means plain ones. The server's name is taken
	// from the address unless set here.
	TLS *tls.Config

	// Retention is how long timelines are kept, in whole milliseconds; 0 is for ever. Open
	// makes it the retention of everything that is written from then on, by this process
	// and, within seconds, by all others.
	Retention time.Duration
	// Timeout bounds how long a Read, a Trim or a question for positions takes, and how
	// long a Write goes on without getting anywhere.
	Timeout time.Duration
	// Connections is how many connections to each node are kept.
	Connections int
	// Concurrency is how many statements of all Writes are under way at once.
	Concurrency int

	// Logger takes the client's log and this package's; nil discards both.
	Logger *slog.Logger
}

// DefaultConfig returns a Config with everything set but Hosts.
func DefaultConfig() Config {
	return Config{
		Keyspace:    "godwit",
		Namespace:   "godwit",
		Consistency: LocalQuorum,
		Replication: 3,
		Retention:   30 * 24 * time.Hour,
		Timeout:     5 * time.Second,
		Connections: 2,
		Concurrency: 256,
	}
}

// keyspaces is what a keyspace may be called: a name that needs no quotes. Cassandra
// allows no more than 48 characters.
var keyspaces = regexp.MustCompile(`^[a-z][a-z0-9_]{0,47}$`)

// Validate returns what is wrong with c, all of it, or nil.
func (c *Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("cassandra: "+format, args...))
		}
	}
	check(len(c.Hosts) > 0, "Hosts is empty")
	for _, h := range c.Hosts {
		check(h != "", "Hosts has an empty address")
	}
	check(keyspaces.MatchString(c.Keyspace), "Keyspace is %q: it needs 1 to 48 lower-case letters, digits and underscores, a letter first", c.Keyspace)
	check(c.Namespace != "", "Namespace is empty")
	check(c.Consistency == LocalQuorum || c.Consistency == Quorum, "Consistency is %q: it must be %s or %s", c.Consistency, LocalQuorum, Quorum)
	check(c.Replication >= 1, "Replication is %d: it must be positive", c.Replication)
	check(c.Username != "" || c.Password == "", "Password is set without Username")
	check(c.Retention >= 0 && c.Retention <= maxRetention, "Retention is %v: it must be 0 to %v", c.Retention, maxRetention)
	check(c.Retention == 0 || c.Retention >= time.Hour, "Retention is %v: it must be 0, for ever, or at least 1h", c.Retention)
	check(c.Retention%time.Millisecond == 0, "Retention is %v: it must be whole milliseconds", c.Retention)
	check(c.Timeout >= 100*time.Millisecond && c.Timeout <= 5*time.Minute, "Timeout is %v: it must be 100ms to 5m", c.Timeout)
	check(c.Connections >= 1 && c.Connections <= 64, "Connections is %d: it must be 1 to 64", c.Connections)
	check(c.Concurrency >= 1 && c.Concurrency <= 1<<15, "Concurrency is %d: it must be 1 to %d", c.Concurrency, 1<<15)
	return errors.Join(errs...)
}

// logger returns the Logger to use.
func (c *Config) logger() *slog.Logger {
	if c.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Logger
}
