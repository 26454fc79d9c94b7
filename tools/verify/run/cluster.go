package run

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
	"github.com/godwit-im/godwit/tools/verify/nemesis"
	"github.com/godwit-im/godwit/tools/verify/rawlog"
	"github.com/godwit-im/godwit/tools/verify/world"
)

// cluster is what a run needs of the cluster that it is made on.
type cluster interface {
	urls() []string
	token(user string, ttl time.Duration) string
	// log returns where the log is; ok is false if that is not known.
	log() (source rawlog.Source, ok bool)
	// admins returns the base URLs of the admin ports, by the names of the nodes, if the
	// counters of the nodes are those of this run alone.
	admins() map[string]string
	// faults does faults for some time. heal undoes all that still lasts, and returns when the
	// cluster is whole.
	faults(ctx context.Context, report func(*event.Fault)) []nemesis.Outcome
	heal(ctx context.Context) error
	// fallen returns the processes that have ended though nobody has ended them.
	fallen() map[string][]string
	// without names the checks that cannot be made on it.
	without() []string
	close()
}

// schedule returns what faults are done by, with all kinds that are wanted.
func (s *Settings) schedule() nemesis.Settings {
	l := s.Local
	nodes, brokers, history := l.world("").Names()
	return nemesis.Settings{
		Duration: s.faults(), Kinds: l.Faults,
		Nodes: nodes, Brokers: brokers, History: history, Store: l.History == Cassandra,
		Disk: l.History == Pebble && s.noDisk() == nil,
		// Where there is one of a kind, a fault of it is an outage.
		Outage: l.Nodes == 1 || l.Brokers == 1,
	}
}

// Possible returns those of some kinds of faults that can be done to what is started here.
func (s *Settings) Possible(kinds []nemesis.Kind) []nemesis.Kind {
	return s.schedule().Possible(kinds)
}

// noDisk says why history in files cannot be on a disk that is filled, nil if it can.
func (s *Settings) noDisk() error {
	if need := s.disk(); need > maxDisk {
		return fmt.Errorf("run: %v at %v messages a second need a disk of %d MiB, and what fills it is in memory: %d MiB at most",
			s.Duration, s.Rate, need>>20, maxDisk>>20)
	}
	return world.Mountable()
}

// local is a cluster of this machine.
type local struct {
	settings *Settings
	world    *world.World
}

// String says what runs.
func (l *Local) String() string {
	text := fmt.Sprintf("%d of godwit serve, %d of Kafka", l.Nodes, l.Brokers)
	if l.History != NoStore {
		text += ", history in " + string(l.History)
	}
	return text
}

func startLocal(ctx context.Context, s *Settings, folder string) (*local, error) {
	c := s.Local.world(folder)
	if slices.Contains(s.Local.Faults, nemesis.DiskFull) {
		c.DiskBytes = s.disk()
	}
	w, err := world.Start(ctx, c)
	if err != nil {
		return nil, err
	}
	return &local{s, w}, nil
}

func (l *local) urls() []string {
	var urls []string
	for _, node := range l.world.Nodes() {
		urls = append(urls, l.world.URL(node))
	}
	return urls
}

func (l *local) token(user string, ttl time.Duration) string { return l.world.Token(user, ttl) }

func (l *local) log() (rawlog.Source, bool) {
	return rawlog.Source{Brokers: l.world.Kafka(), Topic: rawlog.Topic(l.world.Namespace(), 1)}, true
}

func (l *local) admins() map[string]string {
	admins := make(map[string]string)
	for _, node := range l.world.Nodes() {
		admins[node] = l.world.AdminURL(node)
	}
	return admins
}

func (l *local) faults(ctx context.Context, report func(*event.Fault)) []nemesis.Outcome {
	s := l.settings.schedule()
	if len(s.Kinds) == 0 {
		return nil
	}
	steps, err := nemesis.Schedule(l.settings.Seed, s)
	if err != nil {
		panic(err) // Validate has made it
	}
	return nemesis.Run(ctx, l.world, s, steps, report)
}

func (l *local) heal(ctx context.Context) error { return l.world.Heal(ctx) }
func (l *local) fallen() map[string][]string    { return l.world.Fallen() }

func (l *local) without() []string { return nil }

func (l *local) close() { l.world.Close() }

// logSlack is how much earlier than the run the reading of another's log begins: so far may
// clocks be apart.
const logSlack = 10 * time.Minute

// remote is a cluster of others.
type remote struct {
	*Remote
	prefix string // of the users of this run
	begun  time.Time
}

func (r *remote) urls() []string                              { return slices.Clone(r.URLs) }
func (r *remote) token(user string, ttl time.Duration) string { return r.Token(user, ttl) }

func (r *remote) log() (rawlog.Source, bool) {
	k := r.Kafka
	if k == nil {
		return rawlog.Source{}, false
	}
	return rawlog.Source{
		Brokers: k.Brokers, Client: k.ClientOptions(), Topic: rawlog.Topic(k.Namespace, int(k.Generation)),
		Since: r.begun.Add(-logSlack), Prefix: r.prefix,
	}, true
}

func (r *remote) admins() map[string]string { return nil }

func (r *remote) faults(context.Context, func(*event.Fault)) []nemesis.Outcome { return nil }
func (r *remote) heal(context.Context) error                                   { return nil }
func (r *remote) fallen() map[string][]string                                  { return nil }

// without leaves out what counts the traffic of others too.
func (r *remote) without() []string { return []string{"conservation"} }

func (r *remote) close() {}
