package bench

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/bench/load"
)

// What a connection takes of the machine, both ends together, to find out how many fit:
// the kernel's sockets, and in user space more than the node and the clients need.
const (
	kernelPerConn = 8_500
	userPerConn   = 2_500
	// spared is what is left to the rest: Kafka above all.
	spared = 2 << 30

	// perLoop is how many connections a loop of the node gets. The kernel spreads them
	// by hash, so one gets a little more; RLIMIT_NOFILE is often 20,000.
	perLoop = 16_000
)

// BenchmarkMillion holds a million authenticated connections in one process of the node,
// or as many as -conns says and as fit in memory, where each of its loops, and each
// thread of the clients, has a descriptor table of its own. It connects all; leaves them
// alone for a while, with heartbeats; sends 5,000 messages a second between random
// users; sends a message to every user; and has a tenth reconnect at once. One message
// that is lost or doubled, or one connection that ends unasked, fails it. Sends that the
// node refuses for the moment are counted apart (rejected): nothing of them is stored.
//
//	make bench-million
//	go test ./bench -run '^$' -bench Million -conns 100000 -progress
func BenchmarkMillion(b *testing.B) {
	noTime(b)
	n := fit(b)
	s := serve(b, kafkatest.Real(b, 64),
		"--fd-tables", "per-loop", "--loops", strconv.Itoa((n+perLoop-1)/perLoop), "--limits-connections", strconv.Itoa(n+1000))
	warm(b, s)
	config := s.config(n)
	config.Tables, config.Heartbeats = true, true
	c := newClients(b, config)
	m := &million{b: b, n: n, s: s, c: c, slab: meminfo(b, "Slab"), empty: s.memory(b), own: c.usage(b).RSS}

	m.connect()
	m.idle(m.idleTime())
	m.random(size(30*time.Second, 3*time.Second))
	m.everyone()
	m.storm()
	metric(b, "rejected", float64(m.refused))
	metric(b, "lost", 0) // or it would have failed
}

// warm has a node and its log do what they will be measured at, for others than the
// clients to come: Kafka's first thousands of records take ten times as long as later ones.
func warm(b *testing.B, s *server) {
	tell("%s: warming up", b.Name())
	config := s.config(200)
	config.Prefix = "warm-"
	c := newClients(b, config)
	c.open(b, config.Connections)
	c.runRefused(b, load.Traffic{Shape: load.Unicast, Size: 200, Rate: 5000, Duration: size(10*time.Second, 2*time.Second)})
	if err := c.Quit(); err != nil {
		b.Fatal(err)
	}
	eventually(b, "those who warmed the node up have left", func() bool { return s.metrics(b).value(b, "godwit_connections") == 0 })
}

// fit returns how many connections there will be.
func fit(b *testing.B) int {
	n := *conns
	if n == 0 {
		n = size(100_000, 25_000)
	}
	most := int((meminfo(b, "MemAvailable") - spared) / (kernelPerConn + userPerConn))
	if n > most {
		b.Logf("memory has room for %d connections, not %d", most, n)
		n = most
	}
	if n < 1000 {
		b.Skipf("memory has room for %d connections", n)
	}
	return n
}

// million is the benchmark at work.
type million struct {
	b     *testing.B
	n     int
	s     *server
	c     *clients
	slab  int64  // of the kernel, before
	empty memory // of the node, before
	own   int64  // resident memory of the clients, before

	refused int64 // sends
}

// timeout is how long something may take that is done for each connection.
func (m *million) timeout() time.Duration { return patience + time.Duration(m.n)*time.Millisecond }

func (m *million) tell(format string, args ...any) {
	tell("%s: %s", m.b.Name(), fmt.Sprintf(format, args...))
}

// connect opens all connections, in ten parts to tell how it goes.
func (m *million) connect() {
	start := time.Now()
	for i := range 10 {
		part := m.n*(i+1)/10 - m.n*i/10
		r, err := m.c.Connect(part, 0, m.timeout())
		if err != nil || r.Stats.Opened != int64(part) {
			m.b.Fatalf("of %d connections %d were opened: %v %v", part, r.Stats.Opened, r.Stats.Events, err)
		}
		m.tell("%d connections after %v; the node has %d MB", r.Stats.Open, time.Since(start).Round(time.Second), rss(m.b, m.s.Pid())>>20)
	}
	took := time.Since(start)
	n := float64(m.n)
	metric(m.b, "conns", n)
	metric(m.b, "connects/s", n/took.Seconds())
	full := m.s.memory(m.b)
	metric(m.b, "B/conn", float64(full.rss-m.empty.rss)/n)
	metric(m.b, "heap-B/conn", (full.heap-m.empty.heap)/n)
	metric(m.b, "kernel-B/conn", float64(meminfo(m.b, "Slab")-m.slab)/n)
	metric(m.b, "load-B/conn", float64(m.c.usage(m.b).RSS-m.own)/n)
}

// idleTime returns how long the connections are left alone: as long as it takes that each
// of some hundred thousand, whose heartbeat is a minute, has sent one.
func (m *million) idleTime() time.Duration {
	if m.n > 200_000 {
		return 2 * time.Minute
	}
	return size(80*time.Second, 5*time.Second)
}

// idle leaves the connections alone: only heartbeats go.
func (m *million) idle(length time.Duration) {
	before, _ := m.c.Stats()
	used := m.s.cpu(m.b)
	m.tell("idle for %v", length)
	time.Sleep(length)
	metric(m.b, "idle-cores", (m.s.cpu(m.b)-used).Seconds()/length.Seconds())
	after := m.stay()
	m.tell("%d pings were sent", after.Pings-before.Pings)
}

// stay requires that all connections are still there.
func (m *million) stay() load.Stats {
	s, err := m.c.Stats()
	if err != nil || s.Open != int64(m.n) {
		m.b.Fatalf("%d of %d connections are left: %v %v", s.Open, m.n, s.Events, err)
	}
	return s
}

// random sends messages at a fixed rate between random users.
func (m *million) random(length time.Duration) {
	m.tell("5,000 messages a second for %v", length)
	used := m.s.cpu(m.b)
	r := m.run(load.Traffic{Shape: load.Unicast, Size: 200, Rate: 5000, Duration: length})
	metric(m.b, "cpu-us/msg", perOp(m.s.cpu(m.b)-used, r.Stats.Stored))
	metric(m.b, "p50-us", float64(r.Deliver.P50))
	metric(m.b, "p99-us", float64(r.Deliver.P99))
	metric(m.b, "ack-p50-us", float64(r.Ack.P50))
	metric(m.b, "ack-p99-us", float64(r.Ack.P99))
	m.stay()
}

// run runs traffic, of which nothing may be lost.
func (m *million) run(t load.Traffic) load.Result {
	r, refused := m.c.runRefused(m.b, t)
	m.refused += refused
	return r
}

// everyone sends a message to every user.
func (m *million) everyone() {
	m.tell("a message to every user")
	r := m.run(load.Traffic{Shape: load.Neighbour, Size: 200, InFlight: 4000, Count: int64(m.n), Patience: m.timeout()})
	if want := int64(m.n) - r.Stats.Retryable; r.Check.Due != 2*want {
		m.b.Fatalf("%d deliveries, want two for each of %d messages", r.Check.Due, want)
	}
	metric(m.b, "deliveries/s", float64(r.Check.Due)/r.Arrived.Seconds())
	m.stay()
}

// storm has a tenth of the clients reconnect at once, then sends through all.
func (m *million) storm() {
	n := m.n / 10
	m.tell("%d clients reconnect", n)
	r, err := m.c.Storm(n, 0, m.timeout())
	if err != nil || r.Stats.Opened != int64(n) || r.Stats.Failed != 0 {
		m.b.Fatalf("of %d connections %d came back: %v %v", n, r.Stats.Opened, r.Stats.Events, err)
	}
	metric(m.b, "storm-s", r.Elapsed.Seconds())
	metric(m.b, "storm-p99-us", float64(r.Connect.P99))
	m.run(load.Traffic{Shape: load.Unicast, Size: 200, Rate: 5000, Count: int64(size(25_000, 5000))})
	m.stay()
	metric(m.b, "gc-pause-us", m.s.metrics(m.b).value(m.b, `go_gc_duration_seconds{quantile="1"}`)*1e6)
}
