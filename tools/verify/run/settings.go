package run

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/tools/verify/event"
	"github.com/godwit-im/godwit/tools/verify/nemesis"
	"github.com/godwit-im/godwit/tools/verify/workload"
	"github.com/godwit-im/godwit/tools/verify/world"
)

const (
	// MinDuration is the shortest load that says anything.
	MinDuration = 5 * time.Second

	// leastWarmup is how long the cluster is loaded at least before the first fault; with
	// more time it is the warmupShare-th part of the load.
	leastWarmup = 3 * time.Second
	warmupShare = 10
)

// Store is where a cluster keeps history.
type Store string

// The stores.
const (
	NoStore   Store = "none"
	Pebble    Store = "pebble" // of one node that is alone
	Cassandra Store = "cassandra"
)

// Settings say what a run is. Exactly one of Local and Remote is set.
type Settings struct {
	Users    int           // who send each other messages
	Devices  int           // of each user
	Rate     float64       // sends a second, of all together
	Duration time.Duration // of the load, with and without faults
	Seed     uint64        // of every choice
	// Converge is how long a message may be on its way to a device that reads when nothing is
	// broken any more; so long, and somewhat longer, it is waited for what is missing at the end.
	Converge time.Duration

	Local  *Local
	Remote *Remote

	// Out is the folder for what the run leaves. It is made if it is not there; what a run
	// before it has left there under the same names is replaced.
	Out string
	// Keep keeps the logs of all processes, and not only those of a run that shows something.
	Keep bool
	// Command repeats the run; it is for the report.
	Command string
	// Progress is where the run tells how far it is, nil for nowhere.
	Progress io.Writer
	// Enough ends the load when it is closed: the run goes on with healing, reads and judges
	// what there is. It may be nil.
	Enough <-chan struct{}
}

// Local is a cluster of processes on this machine.
type Local struct {
	Nodes   int
	Brokers int // 1 or 3
	History Store
	// Faults are the kinds that are wanted; none are done where it is empty. Those that
	// cannot be done to such a cluster are an error.
	Faults []nemesis.Kind
	Binary string // of the nodes: the godwit command
	Root   string // folder of a checkout of godwit, for the scripts that run services
}

// partitions is how many the topic of messages has: so many that each node has some of each
// kind of users, and that a move moves several.
const partitions = 64

// Remote is a cluster that is there already.
type Remote struct {
	URLs  []string // ws or wss
	Token func(user string, ttl time.Duration) string
	// History is whether the cluster keeps one.
	History bool
	// Kafka is how its log is reached; without it the log is not read.
	Kafka *kafka.Config
}

// Validate says what is wrong with the settings.
func (s *Settings) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("run: "+format, args...))
		}
	}
	if _, err := workload.New(s.load(nil, "", func(string, event.Event) {})); err != nil {
		errs = append(errs, err)
	}
	check(s.Duration >= MinDuration, "Duration is %v: must be %v or more", s.Duration, MinDuration)
	check(s.Converge > 0, "Converge is %v: must be positive", s.Converge)
	check(s.Out != "", "Out is empty")
	check((s.Local == nil) != (s.Remote == nil), "one of Local and Remote must be set")
	if l := s.Local; l != nil {
		switch l.History {
		case NoStore, Cassandra:
		case Pebble:
			check(l.Nodes == 1, "History is %q and Nodes %d: the files of Pebble belong to one node", l.History, l.Nodes)
		default:
			check(false, "History is %q: must be %q, %q or %q", l.History, NoStore, Pebble, Cassandra)
		}
		errs = append(errs, l.world("/").Validate())
		if len(l.Faults) > 0 {
			_, err := nemesis.Schedule(s.Seed, s.schedule())
			if l.History == Pebble && slices.Contains(l.Faults, nemesis.DiskFull) {
				err = errors.Join(err, s.noDisk())
			}
			errs = append(errs, err)
		}
	}
	if r := s.Remote; r != nil {
		check(len(r.URLs) > 0, "URLs is empty")
		check(r.Token != nil, "Token is nil")
		if r.Kafka != nil {
			errs = append(errs, r.Kafka.Validate())
		}
	}
	return errors.Join(errs...)
}

// load returns the options of the load on a cluster.
func (s *Settings) load(c cluster, prefix string, write func(by string, e event.Event)) workload.Options {
	return workload.Options{
		Users: s.Users, Devices: s.Devices, Rate: s.Rate, Seed: s.Seed, Prefix: prefix, Write: write,
		URLs:  func() []string { return c.urls() },
		Token: func(user string, ttl time.Duration) string { return c.token(user, ttl) },
	}
}

// warmup and faults are how long the two parts of the load last.
func (s *Settings) warmup() time.Duration { return max(leastWarmup, s.Duration/warmupShare) }
func (s *Settings) faults() time.Duration { return s.Duration - s.warmup() }

// faulty reports whether faults are wanted.
func (s *Settings) faulty() bool { return s.Local != nil && len(s.Local.Faults) > 0 }

// tail is how much of the log a node remembers where there is a store. With the default a node
// would have all of a run of minutes in memory, and the store would be asked for nothing.
const tail = "4MiB"

const (
	// messageDisk is about the most that history in files needs for a message that was sent, in
	// bytes: it is 3,700 in the timelines of all, and twice that while files are made anew.
	messageDisk = 8 << 10

	// maxDisk bounds a disk that faults fill, in bytes, since it is in memory.
	maxDisk = 2 << 30
)

// disk returns the size of a disk that is filled by faults alone, in bytes.
func (s *Settings) disk() int64 {
	return world.MinDiskBytes + int64(s.Rate*s.Duration.Seconds())*messageDisk
}

// history reports whether the cluster keeps one.
func (s *Settings) history() bool {
	if s.Local != nil {
		return s.Local.History != NoStore
	}
	return s.Remote.History
}

// world returns what runs, with its data in a folder.
func (l *Local) world(folder string) world.Config {
	c := world.Config{
		Binary: l.Binary, Root: l.Root, Folder: folder,
		Nodes: l.Nodes, Brokers: l.Brokers, Partitions: partitions,
		History: l.History == Cassandra, Pebble: l.History == Pebble,
	}
	if l.History != NoStore {
		c.NodeFlags = []string{"--limits-tail-bytes", tail}
	}
	return c
}
