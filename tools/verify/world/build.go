package world

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/godwit-im/godwit/tools/kafka"
	"github.com/godwit-im/godwit/tools/process"
	"github.com/godwit-im/godwit/tools/verify/proxy"
)

const (
	// namespace is that of the topics. Kafka is of this world alone, so it may be fixed.
	namespace  = "verify"
	generation = "1"
	keyspace   = "godwit_verify"

	pebbleFolder = "pebble" // in the world's folder, or on its disk

	// heap is that of Kafka's and Cassandra's JVMs.
	kafkaHeap     = "384m"
	cassandraHeap = "512m"

	cassandraScript  = "tools/cassandra/cassandra.sh"
	cassandraStarted = "Startup complete"

	// commandTimeout bounds the commands that make topics and tables.
	commandTimeout = 2 * time.Minute
)

// The names of the processes that there is one of.
const (
	cassandraName = "cassandra"
	historyName   = "history1"
)

// plan makes the proxies and says how everything is to be started. It starts no process.
func (w *World) plan() error {
	readers := w.readers()
	// Of a broker for clients, the controller and every way; of the others for clients and the
	// admin port; and two of Cassandra.
	perBroker := 2 + len(readers)
	ports, err := process.FreePorts(w.config.Brokers*perBroker + 2*len(readers) + 2)
	if err != nil {
		return err
	}
	take := func() int {
		port := ports[0]
		ports = ports[1:]
		return port
	}
	brokers := make([]kafka.Node, w.config.Brokers)
	for i := range brokers {
		b := &brokers[i]
		*b = kafka.Node{Port: take(), Controller: take(), Data: w.path(w.brokers[i]), Heap: kafkaHeap}
		for _, name := range readers {
			way := kafka.Way{Port: take()}
			p, err := w.link(name, KafkaWay, local(way.Port))
			if err != nil {
				return err
			}
			way.Told = p.Addr().Port
			b.Ways = append(b.Ways, way)
		}
		w.kafka = append(w.kafka, b.Address())
	}
	if len(brokers) > 1 {
		kafka.Cluster(brokers)
	}
	for i, b := range brokers {
		m := w.member(w.brokers[i])
		m.started = kafka.Started
		m.command = func() *exec.Cmd { return w.script(kafka.Script, b.Environment()) }
	}
	if w.config.History {
		if err := w.planHistory(take); err != nil {
			return err
		}
	}
	if w.config.DiskBytes > 0 {
		if err := w.planDisk(); err != nil {
			return err
		}
	}
	for _, name := range w.nodes {
		if err := w.planNode(name, take(), take()); err != nil {
			return err
		}
	}
	return nil
}

// readers returns what has a way of its own to Kafka.
func (w *World) readers() []string {
	return append(w.nodes[:len(w.nodes):len(w.nodes)], w.history...)
}

// planHistory says how Cassandra and the process that writes to it are started.
func (w *World) planHistory(take func() int) error {
	port, storage := take(), take()
	m := w.member(cassandraName)
	m.started = cassandraStarted
	m.command = func() *exec.Cmd {
		return w.script(cassandraScript, []string{
			"CASSANDRA_PORT=" + strconv.Itoa(port), "CASSANDRA_STORAGE_PORT=" + strconv.Itoa(storage),
			"CASSANDRA_DATA=" + w.path(cassandraName), "CASSANDRA_HEAP=" + cassandraHeap,
		})
	}
	for _, name := range w.readers() {
		if _, err := w.link(name, StoreWay, local(port)); err != nil {
			return err
		}
	}
	admin := local(take())
	m = w.member(historyName)
	m.health = "http://" + admin + "/healthz"
	m.command = func() *exec.Cmd {
		return w.godwit(append([]string{"history", "run", "--admin", admin, "--log-format", "json"}, w.settings(historyName)...)...)
	}
	return nil
}

// planNode says how a node is started.
func (w *World) planNode(name string, listen, admin int) error {
	clients, err := w.link(name, ClientsWay, "")
	if err != nil {
		return err
	}
	m := w.member(name)
	m.health = "http://" + local(admin) + "/readyz"
	w.admin[name] = "http://" + local(admin)
	w.urls[name] = "ws://" + clients.Addr().String() + "/v1/connect"
	m.command = func() *exec.Cmd {
		args := []string{"serve", "--node", name,
			"--listen", local(listen), "--advertise", w.urls[name], "--admin", local(admin),
			"--token-algorithm", "HS256", "--token-key-file", w.path(keyFile), "--log-format", "json"}
		if w.config.Pebble {
			args = append(args, "--history-store", "pebble", "--history-folder", w.pebbleFolder())
		} else {
			args = append(args, "--cluster-enabled")
		}
		return w.godwit(append(append(args, w.settings(name)...), w.config.NodeFlags...)...)
	}
	// Nobody gets through to another process that has the port meanwhile.
	m.up = func() { clients.SetTarget(local(listen)) }
	m.down = func() { clients.SetTarget("") }
	return nil
}

// settings returns the flags that nodes and history processes have in common, for one that
// reaches everything by its own ways.
func (w *World) settings(name string) []string {
	args := w.logFlags(w.told(name, KafkaWay))
	if w.config.Brokers < maxBrokers {
		args = append(args, "--unsafe") // one replica
	}
	if w.config.History {
		args = append(args, w.storeFlags(w.told(name, StoreWay))...)
	}
	return args
}

func (w *World) logFlags(brokers []string) []string {
	return []string{
		"--kafka-brokers", strings.Join(brokers, ","), "--kafka-namespace", namespace,
		"--kafka-generation", generation, "--kafka-partitions", strconv.Itoa(w.config.Partitions),
	}
}

func (w *World) storeFlags(hosts []string) []string {
	return []string{
		"--history-store", "cassandra", "--history-cassandra-hosts", strings.Join(hosts, ","),
		"--history-cassandra-keyspace", keyspace, "--history-cassandra-replication", "1",
	}
}

// clientBuffer is about how many bytes the proxy before a node holds in each of its sockets
// for a client that does not read: so little that nodes feel soon who is slow.
const clientBuffer = 64 << 10

// link makes a proxy for a process and a way.
func (w *World) link(name string, way Way, target string) (*proxy.Proxy, error) {
	p, err := proxy.Listen(target)
	if err != nil {
		return nil, fmt.Errorf("world: %w", err)
	}
	if way == ClientsWay {
		p.SetBuffer(clientBuffer)
	}
	l := link{name, way}
	w.links[l] = append(w.links[l], p)
	return p, nil
}

// told returns the addresses of the proxies of a process on one way.
func (w *World) told(name string, way Way) []string {
	var list []string
	for _, p := range w.links[link{name, way}] {
		list = append(list, p.Addr().String())
	}
	return list
}

// member returns a new member.
func (w *World) member(name string) *member {
	m := &member{name: name, log: filepath.Join(w.config.Folder, logsFolder, name+".log")}
	w.members[name] = m
	return m
}

// path returns the path of something in the world's folder.
func (w *World) path(name string) string { return filepath.Join(w.config.Folder, name) }

// script returns the command that becomes a service.
func (w *World) script(name string, env []string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(w.config.Root, filepath.FromSlash(name)), kafka.Run)
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// godwit returns a command of the binary under test.
func (w *World) godwit(args ...string) *exec.Cmd {
	cmd := exec.Command(w.config.Binary, args...)
	cmd.Env = process.Environment()
	return cmd
}

// do runs a command of the binary under test to its end.
func (w *World) do(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, w.config.Binary, args...)
	cmd.Env = process.Environment()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("world: godwit %s: %w\n%s", strings.Join(args[:2], " "), err, out)
	}
	return nil
}
