package world

import (
	"errors"
	"fmt"
	"path/filepath"
)

const (
	// maxNodes and maxBrokers bound what fits one machine: a broker takes 400 MB.
	maxNodes   = 9
	maxBrokers = 3
)

// Config says what runs.
type Config struct {
	// Binary is the godwit command under test.
	Binary string
	// Root is the folder of a checkout of godwit, for the scripts that run Kafka and Cassandra.
	Root string
	// Folder is where data, settings and logs go. It must be empty or not there yet.
	Folder string

	Nodes      int // 1 to 9
	Brokers    int // 1 or 3
	Partitions int // of the messages topic
	// History is whether there are a Cassandra and a process that writes history to it.
	History bool
	// Pebble is whether the one node there is keeps history in files of its own. It forms no
	// cluster then.
	Pebble bool
	// DiskBytes is the size of the disk that these files are on, in memory, which can be filled;
	// MinDiskBytes or more. 0 puts them into Folder.
	DiskBytes int64

	// NodeFlags are more flags of godwit serve, for all nodes.
	NodeFlags []string
}

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("world: "+format, args...))
		}
	}
	check(c.Binary != "", "Binary is empty")
	check(filepath.IsAbs(c.Binary), "Binary is %q: must be an absolute path", c.Binary)
	check(filepath.IsAbs(c.Root), "Root is %q: must be an absolute path", c.Root)
	check(filepath.IsAbs(c.Folder), "Folder is %q: must be an absolute path", c.Folder)
	check(c.Nodes >= 1 && c.Nodes <= maxNodes, "Nodes is %d: must be 1 to %d", c.Nodes, maxNodes)
	check(c.Brokers == 1 || c.Brokers == maxBrokers, "Brokers is %d: must be 1 or %d", c.Brokers, maxBrokers)
	check(c.Partitions >= c.Nodes, "Partitions is %d and Nodes %d: there must be one for each", c.Partitions, c.Nodes)
	check(!c.Pebble || c.Nodes == 1, "Pebble is true and Nodes %d: only one node can have its files", c.Nodes)
	check(!c.Pebble || !c.History, "Pebble and History exclude each other")
	check(c.DiskBytes == 0 || c.Pebble, "DiskBytes is %d without Pebble", c.DiskBytes)
	check(c.DiskBytes == 0 || c.DiskBytes >= MinDiskBytes, "DiskBytes is %d: must be 0, or %d or more", c.DiskBytes, MinDiskBytes)
	return errors.Join(errs...)
}

// replication returns how many brokers hold each partition, and how many of them must have
// a record before it is acknowledged.
func (c Config) replication() (replicas, insync int) {
	if c.Brokers == maxBrokers {
		return 3, 2
	}
	return 1, 1
}

// Names returns the names of the processes that there will be of each kind.
func (c Config) Names() (nodes, brokers, history []string) {
	if c.History {
		history = []string{historyName}
	}
	return names("n", c.Nodes), names("kafka", c.Brokers), history
}
