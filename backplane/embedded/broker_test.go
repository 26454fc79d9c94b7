package embedded_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster/kafkalog"
	"github.com/godwit-im/godwit/backplane/embedded"
	"github.com/godwit-im/godwit/backplane/kafka"
	"go.uber.org/goleak"
)

// crashVariable names the data folder of a child process that writes until it is
// killed.
const crashVariable = "GODWIT_TEST_CRASH"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashVariable); dir != "" {
		writeForEver(dir)
	}
	goleak.VerifyTestMain(m)
}

const patience = 30 * time.Second

func start(t *testing.T, cfg embedded.Config) *embedded.Broker {
	t.Helper()
	b, err := embedded.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func config(b *embedded.Broker, e embedded.Config) kafka.Config {
	cfg := kafka.DefaultConfig()
	cfg.Brokers = []string{b.Addr()}
	cfg.Namespace, cfg.Generation, cfg.Partitions = e.Namespace, e.Generation, e.Partitions
	return cfg
}

// sends has what a test needs to store messages and wait for them.
type outcome chan backplane.Outcome

func (o outcome) Done(out backplane.Outcome) { o <- out }

func store(t *testing.T, p *kafka.Producer, number uint64) {
	t.Helper()
	done := make(outcome, 1)
	if err := p.Produce(message(number), done); err != nil {
		t.Fatal(err)
	}
	select {
	case out := <-done:
		if out.Status != backplane.Stored {
			t.Fatalf("message %d: %+v", number, out)
		}
	case <-time.After(patience):
		t.Fatalf("message %d: no outcome", number)
	}
}

func message(number uint64) *backplane.Send {
	from := fmt.Appendf(nil, "user-%d", number%100)
	s := &backplane.Send{From: from, Value: backplane.AppendMessage(nil, &backplane.Message{From: from})}
	binary.BigEndian.PutUint64(s.ID[:], number)
	copy(s.Value[2:], s.ID[:]) // the message id is the first field
	return s
}

// reader is a handler that keeps the numbers of the messages.
type reader struct {
	mu   sync.Mutex
	seen map[uint64]int
}

func (r *reader) Record(rec *backplane.Record) {
	id, err := backplane.ParseMessageID(rec.Value)
	if err != nil {
		panic(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[binary.BigEndian.Uint64(id[:])]++
}

func (r *reader) Begin(backplane.Partition, int64, int64) {}
func (r *reader) End(backplane.Partition)                 {}
func (r *reader) Tick()                                   {}

// readAll returns how often each message is in the log.
func readAll(t *testing.T, cfg kafka.Config) map[uint64]int {
	t.Helper()
	r := &reader{seen: make(map[uint64]int)}
	c, err := kafka.NewConsumer(cfg, 1, func(int) backplane.Handler { return r })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var all []backplane.Partition
	for p := range cfg.Partitions {
		all = append(all, backplane.Partition(p))
	}
	if err := c.Add(all, 0); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); !c.Ready(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the log is not read")
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen
}

func newProducer(t *testing.T, cfg kafka.Config) *kafka.Producer {
	t.Helper()
	p, err := kafka.NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func closeProducer(t *testing.T, p *kafka.Producer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		t.Error(err)
	}
}

func TestKeepsDataOverRestart(t *testing.T) {
	for _, sync := range []bool{false, true} {
		t.Run(fmt.Sprintf("synced %v", sync), func(t *testing.T) {
			e := embedded.DefaultConfig()
			e.DataDir = filepath.Join(t.TempDir(), "data")
			e.SyncWrites = sync
			e.Partitions = 4
			for run := range uint64(3) {
				b := start(t, e)
				cfg := config(b, e)
				p := newProducer(t, cfg)
				for i := range uint64(20) {
					store(t, p, 100*run+i)
				}
				closeProducer(t, p)
				seen := readAll(t, cfg)
				if len(seen) != int(20*(run+1)) {
					t.Errorf("run %d: %d messages, want %d", run, len(seen), 20*(run+1))
				}
				b.Close()
			}
		})
	}
}

func TestInMemoryForgets(t *testing.T) {
	e := embedded.DefaultConfig()
	e.Partitions = 4
	for range 2 {
		b := start(t, e)
		cfg := config(b, e)
		if seen := readAll(t, cfg); len(seen) != 0 {
			t.Errorf("%d messages, want none", len(seen))
		}
		p := newProducer(t, cfg)
		store(t, p, 1)
		closeProducer(t, p)
		b.Close()
	}
}

// writeForEver is the child process of the test below: it stores messages and
// prints the number of each that is acknowledged.
func writeForEver(dir string) {
	fail := func(err error) {
		fmt.Println("child:", err)
		os.Exit(1)
	}
	e := embedded.DefaultConfig()
	e.DataDir = dir
	e.Partitions = 4
	b, err := embedded.Start(e)
	if err != nil {
		fail(err)
	}
	p, err := kafka.NewProducer(config(b, e))
	if err != nil {
		fail(err)
	}
	for number := uint64(0); ; number++ {
		done := make(outcome, 1)
		if err := p.Produce(message(number), done); err != nil {
			fail(err)
		}
		if out := <-done; out.Status == backplane.Stored {
			fmt.Println("stored", number)
		}
	}
}

func TestSurvivesKill(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashVariable+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var acknowledged []uint64
	for len(acknowledged) < 300 {
		var number uint64
		if _, err := fmt.Fscanf(out, "stored %d\n", &number); err != nil {
			cmd.Process.Kill()
			t.Fatal(err)
		}
		acknowledged = append(acknowledged, number)
		if len(acknowledged) == 100 {
			// It uses the folder: nobody else may.
			e := embedded.DefaultConfig()
			e.DataDir, e.Partitions = dir, 4
			if b, err := embedded.Start(e); !errors.Is(err, embedded.ErrInUse) || !strings.Contains(err.Error(), dir) {
				t.Errorf("error %v, want that %s is in use", err, dir)
				if err == nil {
					b.Close()
				}
			}
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed

	e := embedded.DefaultConfig()
	e.DataDir, e.Partitions = dir, 4
	seen := readAll(t, config(start(t, e), e))
	for _, number := range acknowledged {
		if seen[number] != 1 {
			t.Fatalf("message %d was acknowledged and is in the log %d times", number, seen[number])
		}
	}
}

func TestFolderInUse(t *testing.T) {
	e := embedded.DefaultConfig()
	e.DataDir = t.TempDir()
	e.Partitions = 1
	b := start(t, e)
	if _, err := embedded.Start(e); !errors.Is(err, embedded.ErrInUse) {
		t.Fatalf("error %v, want that the folder is in use", err)
	}
	b.Close()
	start(t, e)
}

// A folder of another topic is refused, whatever differs, in words that name
// both; and it is left as it was.
func TestFolderOfAnotherTopic(t *testing.T) {
	dir := t.TempDir()
	made := embedded.DefaultConfig()
	made.DataDir = dir
	made.Partitions = 3
	start(t, made).Close()
	for name, test := range map[string]struct {
		change func(*embedded.Config)
		says   []string
	}{
		"partitions": {func(c *embedded.Config) { c.Partitions = 5 }, []string{"3 partitions", "5 partitions"}},
		"generation": {func(c *embedded.Config) { c.Generation = 7 }, []string{"generation 1", "generation 7"}},
		"namespace":  {func(c *embedded.Config) { c.Namespace = "other" }, []string{"namespace godwit", "namespace other"}},
	} {
		cfg := made
		test.change(&cfg)
		_, err := embedded.Start(cfg)
		var mismatch *embedded.MismatchError
		if !errors.As(err, &mismatch) {
			t.Errorf("%s: error %v, want a mismatch", name, err)
			continue
		}
		for _, text := range append(test.says, dir) {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: the error %q does not say %q", name, err, text)
			}
		}
	}
	start(t, made)
}

func TestBadConfig(t *testing.T) {
	e := embedded.DefaultConfig()
	e.DataDir = filepath.Join(t.TempDir(), "data")
	e.Partitions = 0
	if _, err := embedded.Start(e); err == nil || !strings.Contains(err.Error(), "Partitions") {
		t.Errorf("error %v, want one that names Partitions", err)
	}
	if _, err := os.Stat(e.DataDir); !errors.Is(err, os.ErrNotExist) {
		t.Error("a configuration that is refused made a folder")
	}
}

func TestFixedPort(t *testing.T) {
	e := embedded.DefaultConfig()
	e.Partitions = 1
	b := start(t, e)
	addr := b.Addr()
	b.Close()
	if _, err := fmt.Sscanf(addr, "127.0.0.1:%d", &e.Port); err != nil {
		t.Fatal(err)
	}
	if again := start(t, e); again.Addr() != addr {
		t.Errorf("listens on %s, want %s", again.Addr(), addr)
	}
	if _, err := embedded.Start(e); err == nil {
		t.Error("two brokers on one port")
	}
}

// A broker has the topics of a cluster, too, with settings that bound what it keeps, and
// finds them again when it starts on the same folder.
func TestClusterTopics(t *testing.T) {
	e := embedded.DefaultConfig()
	e.DataDir = t.TempDir()
	for range 2 {
		b := start(t, e)
		cfg := config(b, e)
		for topic, settings := range map[string]map[string]string{
			kafkalog.ClusterTopic(e.Namespace):    {"cleanup.policy": "compact", "segment.bytes": "4194304"},
			kafkalog.HeartbeatsTopic(e.Namespace): {"cleanup.policy": "delete", "retention.ms": "600000", "retention.bytes": "67108864"},
		} {
			state, err := kafka.DescribeTopic(t.Context(), cfg, topic)
			if err != nil {
				t.Fatal(err)
			}
			if state.Partitions != 1 {
				t.Errorf("%s has %d partitions", topic, state.Partitions)
			}
			for name, want := range settings {
				if got := state.Text(name); got != want || !state.Explicit(name) {
					t.Errorf("%s of %s is %s, explicit is %v; want %s", name, topic, got, state.Explicit(name), want)
				}
			}
		}
		b.Close()
	}
}
