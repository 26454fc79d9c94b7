package kafka_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// store keeps how far each partition has come, as the members of a group do in what
// they write to. It fails the test if a record comes before one that is missing.
type store struct {
	t       *testing.T
	mu      sync.Mutex
	next    map[backplane.Partition]int64
	times   map[backplane.Partition]int64
	owner   map[backplane.Partition]string
	refuses error // what start answers
}

func newStore(t *testing.T) *store {
	return &store{
		t:     t,
		next:  make(map[backplane.Partition]int64),
		times: make(map[backplane.Partition]int64),
		owner: make(map[backplane.Partition]string),
	}
}

func (s *store) start(p backplane.Partition) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.times[p], s.refuses
}

func (s *store) refuse(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuses = err
}

func (s *store) applied(p backplane.Partition) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next[p]
}

// all reports whether every partition has come to an offset.
func (s *store) all(n backplane.Partition, offset int64) bool {
	for p := range n {
		if s.applied(p) < offset {
			return false
		}
	}
	return true
}

// owners returns how many partitions each member had the last record of.
func (s *store) owners() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	owners := make(map[string]int)
	for _, name := range s.owner {
		owners[name]++
	}
	return owners
}

// member is the handler of a worker of one member.
type member struct {
	store *store
	name  string
	gate  chan struct{} // if not nil, Record waits until it is closed
}

func (m *member) Begin(p backplane.Partition, offset, _ int64) {
	if applied := m.store.applied(p); offset > applied {
		m.store.t.Errorf("%s begins with partition %d at %d, and %d is missing", m.name, p, offset, applied)
	}
}

func (m *member) Record(r *backplane.Record) {
	if m.gate != nil {
		<-m.gate
	}
	s := m.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Offset > s.next[r.Partition] {
		s.t.Errorf("%s got offset %d of partition %d, and %d is missing", m.name, r.Offset, r.Partition, s.next[r.Partition])
	}
	if r.Offset >= s.next[r.Partition] {
		s.next[r.Partition], s.times[r.Partition] = r.Offset+1, r.Time
		s.owner[r.Partition] = m.name
	}
}

func (m *member) End(backplane.Partition) {}
func (m *member) Tick()                   {}

const testGroup = "group"

// groupName is a group that only this test uses.
func groupName(cfg kafka.Config) string { return cfg.Namespace + "." + testGroup }

// join returns a member that is closed when the test ends.
func join(t *testing.T, cfg kafka.Config, m *member) *kafka.Group {
	t.Helper()
	g, err := kafka.NewGroup(cfg, groupName(cfg), 2, func(int) backplane.Handler { return m }, m.store.start)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

// assigned returns how many partitions a member was given, and reads.
func assigned(t *testing.T, g *kafka.Group) (given, reads float64) {
	t.Helper()
	return gauge(t, g, "godwit_kafka_group_assigned_partitions"), gauge(t, g, "godwit_kafka_consumer_assigned_partitions")
}

func has(t *testing.T, g *kafka.Group, n float64) func() bool {
	return func() bool {
		given, reads := assigned(t, g)
		return given == n && reads == n
	}
}

// Members come and go; each partition is with one of them, and none loses a record.
func TestGroup(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		t.Parallel()
		const n, count = 6, 200
		cfg := b.Config(t, n)
		p := newProducer(t, cfg)
		s := newStore(t)
		write := func(round int64) {
			t.Helper()
			fill(t, p, n, uint64(round*count*n), count, 0, 1, 2, 3, 4, 5)
			eventually(t, "everything is applied", func() bool { return s.all(n, (round+1)*count) })
		}
		first := join(t, cfg, &member{store: s, name: "first"})
		write(0)
		if !has(t, first, n)() {
			t.Error("the only member does not have all partitions")
		}
		second := join(t, cfg, &member{store: s, name: "second"})
		eventually(t, "each has half", func() bool { return has(t, first, n/2)() && has(t, second, n/2)() })
		write(1)
		if got := s.owners(); got["first"] != n/2 || got["second"] != n/2 {
			t.Errorf("the last records were read by %v, want half by each", got)
		}
		third := join(t, cfg, &member{store: s, name: "third"})
		eventually(t, "each has a third", func() bool {
			return has(t, first, n/3)() && has(t, second, n/3)() && has(t, third, n/3)()
		})
		write(2)
		// One that leaves in order is not waited for.
		first.Close()
		third.Close()
		eventually(t, "the one that is left has all", has(t, second, n))
		write(3)
		if got := s.owners(); got["second"] != n {
			t.Errorf("the last records were read by %v, want all by the second", got)
		}
		if err := second.Err(); err != nil {
			t.Error(err)
		}
	})
}

// groupVariable tells the process below which brokers, namespace and partitions to use.
const groupVariable = "GODWIT_TEST_GROUP"

// TestGroupMember is the member of another process: it says when it has partitions, and
// is killed.
func TestGroupMember(t *testing.T) {
	told := os.Getenv(groupVariable)
	if told == "" {
		t.Skip("for TestGroupMemberIsKilled")
	}
	brokers, rest, _ := strings.Cut(told, " ")
	cfg := kafka.DefaultConfig()
	cfg.Brokers = strings.Split(brokers, ",")
	if _, err := fmt.Sscan(rest, &cfg.Namespace, &cfg.Partitions); err != nil {
		t.Fatal(err)
	}
	cfg.Consumer.SessionTimeout = killedSession
	g := join(t, cfg, &member{store: newStore(t), name: "killed"})
	eventually(t, "it has half", has(t, g, float64(cfg.Partitions/2)))
	fmt.Println("has half")
	time.Sleep(patience) // it is killed
}

// killedSession is the shortest that brokers accept by default.
const killedSession = 6 * time.Second

// A member is killed with what it has not told anybody, and the other takes over.
func TestGroupMemberIsKilled(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		t.Parallel() // it takes the session's time
		const n = 4
		cfg := b.Config(t, n)
		cfg.Consumer.SessionTimeout = killedSession
		p := newProducer(t, cfg)
		s := newStore(t)
		survivor := join(t, cfg, &member{store: s, name: "survivor"})
		fill(t, p, n, 0, 100, 0, 1, 2, 3)
		eventually(t, "the survivor has all", func() bool { return s.all(n, 100) })

		cmd := exec.Command(os.Args[0], "-test.run=^TestGroupMember$")
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d", groupVariable, strings.Join(cfg.Brokers, ","), cfg.Namespace, n))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := sync.OnceFunc(func() {
			cmd.Process.Kill()
			_ = cmd.Wait() // it was killed
		})
		defer kill()
		for lines := bufio.NewScanner(out); ; {
			if !lines.Scan() {
				t.Fatal("the other member ended by itself")
			}
			if lines.Text() == "has half" {
				break
			}
		}
		eventually(t, "the survivor has the other half", has(t, survivor, n/2))
		// What the killed one reads, it keeps to itself.
		fill(t, p, n, 1000, 100, 0, 1, 2, 3)
		kill()
		fill(t, p, n, 2000, 100, 0, 1, 2, 3)
		eventually(t, "the survivor has taken over", func() bool { return s.all(n, 300) })
		if !has(t, survivor, n)() {
			t.Error("the survivor does not have all partitions")
		}
	})
}

// A member whose handler waits lets go of partitions all the same.
func TestGroupDoesNotWaitForHandlers(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		const n = 4
		cfg := b.Config(t, n)
		p := newProducer(t, cfg)
		fill(t, p, n, 0, 100, 0, 1, 2, 3)
		s := newStore(t)
		waits := &member{store: newStore(t), name: "waits", gate: make(chan struct{})}
		first := join(t, cfg, waits)
		release := sync.OnceFunc(func() { close(waits.gate) })
		t.Cleanup(release) // before its Close
		eventually(t, "the first has all", has(t, first, n))
		second := join(t, cfg, &member{store: s, name: "second"})
		eventually(t, "each has half", func() bool { return has(t, first, n/2)() && has(t, second, n/2)() })
		eventually(t, "the second reads its half", func() bool { return s.owners()["second"] == n/2 })
	})
}

// Until it is known where to begin, the member has partitions that it does not read;
// then it does.
func TestGroupStartFails(t *testing.T) {
	cfg := kafkatest.Embedded(t, 2)
	fill(t, newProducer(t, cfg), 2, 0, 10, 0, 1)
	s := newStore(t)
	s.refuse(errors.New("the store is down"))
	g := join(t, cfg, &member{store: s, name: "it"})
	eventually(t, "start has failed twice", func() bool {
		return counter(t, g, "godwit_kafka_group_errors_total", "start") >= 2
	})
	if given, reads := assigned(t, g); given != 2 || reads != 0 {
		t.Errorf("%v partitions assigned and %v read, want 2 and none", given, reads)
	}
	s.refuse(nil)
	eventually(t, "everything is applied", func() bool { return s.all(2, 10) })
}

// The brokers refuse the member: it says so, and goes on trying.
func TestGroupErrors(t *testing.T) {
	cfg := kafkatest.Embedded(t, 1)
	s := newStore(t)
	if _, err := kafka.NewGroup(cfg, "", 1, nil, s.start); err == nil {
		t.Error("no error for a group without a name")
	}
	bad := cfg
	bad.Consumer.SessionTimeout = 0
	if _, err := kafka.NewGroup(bad, "g", 1, nil, s.start); err == nil || !strings.Contains(err.Error(), "SessionTimeout") {
		t.Errorf("error %v, want one that names SessionTimeout", err)
	}
	bad = cfg
	bad.Consumer.SessionTimeout = 3 * time.Second // the broker wants more
	g := join(t, bad, &member{store: s, name: "it"})
	eventually(t, "the error is counted", func() bool {
		return counter(t, g, "godwit_kafka_group_errors_total", "member") > 0
	})
}

// The broker is killed and comes back: the members go on.
func TestGroupBrokerIsKilled(t *testing.T) {
	broker := kafkatest.Private(t)
	const n = 4
	cfg := broker.Config(t, n)
	p := newProducer(t, cfg)
	s := newStore(t)
	first := join(t, cfg, &member{store: s, name: "first"})
	second := join(t, cfg, &member{store: s, name: "second"})
	fill(t, p, n, 0, 100, 0, 1, 2, 3)
	eventually(t, "each has half", func() bool { return has(t, first, n/2)() && has(t, second, n/2)() })
	broker.Kill()
	broker.Start(t)
	fill(t, p, n, 1000, 100, 0, 1, 2, 3)
	eventually(t, "everything is applied", func() bool { return s.all(n, 200) })
}

func TestGroupMetrics(t *testing.T) {
	cfg := kafkatest.Embedded(t, 1)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(join(t, cfg, &member{store: newStore(t), name: "it"}))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if !strings.Contains(p.Metric, "_client_") { // named by the client's plugin
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}
