package world

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/godwit-im/godwit/tools/verify/proxy"
)

const (
	logsFolder = "logs"
	keyFile    = "token.key"
)

// World is a cluster under test. Its fields are static after Start.
type World struct {
	config Config
	key    Key

	nodes, brokers, history []string // names
	members                 map[string]*member
	links                   map[link][]*proxy.Proxy

	kafka []string          // addresses of the brokers that no fault disturbs
	urls  map[string]string // of nodes, for clients
	admin map[string]string // of nodes
}

// link is one process's end of a way.
type link struct {
	name string
	way  Way
}

// Start starts everything and returns when every node is active and has its share of the
// partitions. After an error nothing is left running.
func Start(ctx context.Context, c Config) (*World, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	w := &World{
		config:  c,
		members: make(map[string]*member), links: make(map[link][]*proxy.Proxy),
		urls: make(map[string]string), admin: make(map[string]string),
	}
	w.nodes, w.brokers, w.history = c.Names()
	if err := w.begin(ctx); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

// names returns the names of n processes of one kind.
func names(prefix string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprint(prefix, i+1)
	}
	return list
}

// begin makes what the processes need and starts them, those that need no others first.
func (w *World) begin(ctx context.Context) (err error) {
	if err := os.MkdirAll(w.config.Folder, 0o755); err != nil {
		return fmt.Errorf("world: %w", err)
	}
	// What another world has left would be taken for this one's.
	if found, err := os.ReadDir(w.config.Folder); err != nil {
		return fmt.Errorf("world: %w", err)
	} else if len(found) > 0 {
		return fmt.Errorf("world: the folder %s is not empty", w.config.Folder)
	}
	if err := os.Mkdir(w.path(logsFolder), 0o755); err != nil {
		return fmt.Errorf("world: %w", err)
	}
	if w.key, err = newKey(w.path(keyFile)); err != nil {
		return err
	}
	if err := w.plan(); err != nil {
		return err
	}
	services := w.brokers
	if w.config.History {
		services = append(services[:len(services):len(services)], cassandraName)
	}
	if w.config.DiskBytes > 0 {
		services = append(services[:len(services):len(services)], diskName)
	}
	// All at once: no broker serves before most of them are there.
	if err := w.all(services, func(name string) error { return w.Start(ctx, name) }); err != nil {
		return err
	}
	replicas, insync := w.config.replication()
	if err := w.do(ctx, append([]string{"topics", "create",
		"--replication", fmt.Sprint(replicas), "--min-insync", fmt.Sprint(insync)}, w.logFlags(w.kafka)...)...); err != nil {
		return err
	}
	if w.config.History {
		if err := w.do(ctx, append([]string{"history", "create"}, w.settings(historyName)...)...); err != nil {
			return err
		}
	}
	if err := w.all(w.readers(), func(name string) error { return w.Start(ctx, name) }); err != nil {
		return err
	}
	return w.all(w.nodes, func(name string) error {
		_, err := w.Activate(ctx, name)
		return err
	})
}

// all does something to several processes at once.
func (w *World) all(list []string, do func(name string) error) error {
	errs := make([]error, len(list))
	var doing sync.WaitGroup
	for i, name := range list {
		doing.Go(func() { errs[i] = do(name) })
	}
	doing.Wait()
	return errors.Join(errs...)
}

// Close kills everything that runs and closes the proxies. The folder stays.
func (w *World) Close() {
	_ = w.all(w.Processes(), func(name string) error {
		if p, err := w.members[name].process(); err == nil { // else it was not started
			w.members[name].note(nil, false, false)
			p.Kill()
		}
		return nil
	})
	for _, list := range w.links {
		for _, p := range list {
			p.Close()
		}
	}
}

// Nodes, Brokers and History return the names of the processes of a kind, and Processes all.
func (w *World) Nodes() []string   { return slices.Clone(w.nodes) }
func (w *World) Brokers() []string { return slices.Clone(w.brokers) }
func (w *World) History() []string { return slices.Clone(w.history) }

// Processes returns the names of all processes.
func (w *World) Processes() []string {
	var list []string
	for name := range w.members {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// URL returns where the clients of a node connect.
func (w *World) URL(node string) string { return w.urls[node] }

// AdminURL returns the base of the URLs of a node's admin port.
func (w *World) AdminURL(node string) string { return w.admin[node] }

// Kafka returns the addresses of the brokers, for a client that no fault of a link reaches.
func (w *World) Kafka() []string { return slices.Clone(w.kafka) }

// Namespace returns that of the topics, whose generation is 1.
func (w *World) Namespace() string { return namespace }

// Token signs a token for a user that is good for some time.
func (w *World) Token(user string, ttl time.Duration) string {
	return Signer{Key: w.key}.Token(user, ttl)
}

// Log returns the path of the file with all that a process has written.
func (w *World) Log(name string) string { return w.members[name].log }

// Fallen returns the processes that have ended though nobody has ended them, each with how,
// every time.
func (w *World) Fallen() map[string][]string {
	fallen := make(map[string][]string)
	for name, m := range w.members {
		if falls := m.falls(); len(falls) > 0 {
			fallen[name] = falls
		}
	}
	return fallen
}

// named returns a process.
func (w *World) named(name string) (*member, error) {
	m := w.members[name]
	if m == nil {
		return nil, fmt.Errorf("world: there is no process %q", name)
	}
	return m, nil
}

// Start starts a process that was ended, and returns when it serves.
func (w *World) Start(ctx context.Context, name string) error {
	m, err := w.named(name)
	if err != nil {
		return err
	}
	return m.start(ctx)
}

// Kill ends a process as kill -9 does and returns when it is gone.
func (w *World) Kill(name string) (evidence string, err error) {
	m, err := w.named(name)
	if err != nil {
		return "", err
	}
	return m.end(context.Background(), syscall.SIGKILL)
}

// Stop tells a process to end and returns when it has. The evidence tells its exit status.
func (w *World) Stop(ctx context.Context, name string) (evidence string, err error) {
	m, err := w.named(name)
	if err != nil {
		return "", err
	}
	return m.end(ctx, syscall.SIGTERM)
}

// Pause stops the threads of a process and returns when all have stopped: its connections
// stay open, and nothing answers.
func (w *World) Pause(ctx context.Context, name string) (evidence string, err error) {
	m, err := w.named(name)
	if err != nil {
		return "", err
	}
	return m.pause(ctx)
}

// Resume lets a process go on that was paused.
func (w *World) Resume(name string) error {
	m, err := w.named(name)
	if err != nil {
		return err
	}
	return m.resume()
}

// proxies returns those of a process on one way.
func (w *World) proxies(name string, way Way) ([]*proxy.Proxy, error) {
	list := w.links[link{name, way}]
	if len(list) == 0 {
		return nil, fmt.Errorf("world: there is no way %q of %q", way, name)
	}
	return list, nil
}

// Treat changes what is done to the connections of a process on one way.
func (w *World) Treat(name string, way Way, t proxy.Treatment) error {
	list, err := w.proxies(name, way)
	for _, p := range list {
		p.Treat(t)
	}
	return err
}

// Counts returns what was done to them so far.
func (w *World) Counts(name string, way Way) (sum proxy.Counts, err error) {
	list, err := w.proxies(name, way)
	for _, p := range list {
		sum = sum.Add(p.Counts())
	}
	return sum, err
}

// Heal undoes all that was done: what was paused goes on, what has ended is started, links
// pass everything, and every node is active. It returns when all of it serves.
func (w *World) Heal(ctx context.Context) error {
	for _, list := range w.links {
		for _, p := range list {
			p.Treat(proxy.Treatment{})
		}
	}
	if w.config.DiskBytes > 0 {
		if err := w.Empty(); err != nil {
			return err
		}
	}
	revive := func(name string) error {
		m := w.members[name]
		if err := m.resume(); err != nil {
			return err
		}
		if m.answers() {
			return nil
		}
		return m.start(ctx)
	}
	services := slices.DeleteFunc(w.Processes(), func(name string) bool { return slices.Contains(w.readers(), name) })
	for _, list := range [][]string{services, w.readers()} {
		if err := w.all(list, revive); err != nil {
			return err
		}
	}
	return w.all(w.nodes, func(name string) error {
		_, err := w.Activate(ctx, name)
		return err
	})
}
