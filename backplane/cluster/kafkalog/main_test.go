package kafkalog_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/kafkalog"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
)

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		child()
	}
	kafkatest.Main(m)
}

// patience is how long a test waits for what must happen. It only ends tests that
// have failed.
const patience = time.Minute

// eventually waits until cond is true.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("not so after %v: %s", patience, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// topics makes the topics of cfg on a broker that has no others to replicate to.
func topics(t *testing.T, cfg kafka.Config) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	o := kafkalog.TopicOptions{Replicas: 1, MinInsync: 1, Settings: map[string]*string{"unclean.leader.election.enable": nil}}
	if _, err := kafkalog.Create(ctx, cfg, o); err != nil {
		t.Fatal(err)
	}
}

// config returns the configuration of new topics on a kind of broker.
func config(t *testing.T, b kafkatest.Backend) kafka.Config {
	t.Helper()
	cfg := b.Config(t, 1)
	topics(t, cfg)
	return cfg
}

// state is what a reader was handed.
type state struct {
	mu      sync.Mutex
	values  map[string]string // of the keys that have one
	offsets []int64
	calls   [][]cluster.Record
}

func newState() *state { return &state{values: make(map[string]string)} }

func (s *state) apply(records []cluster.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, records)
	for _, r := range records {
		s.offsets = append(s.offsets, r.Offset)
		if r.Value == nil {
			delete(s.values, r.Key)
		} else {
			s.values[r.Key] = string(r.Value)
		}
	}
}

// get returns the value of a key, and "" for none.
func (s *state) get(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[key]
}

// all returns a copy of the values.
func (s *state) all() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]string, len(s.values))
	maps.Copy(all, s.values)
	return all
}

// open opens a Log that is closed when the test ends.
func open(t *testing.T, cfg kafka.Config) (*kafkalog.Log, *state) {
	t.Helper()
	s := newState()
	l, err := kafkalog.Open(t.Context(), cfg, s.apply)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l, s
}

// take takes a session that is closed when the test ends.
func take(t *testing.T, l *kafkalog.Log) *kafkalog.Session {
	t.Helper()
	s, err := l.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// put returns a record.
func put(key, format string, args ...any) cluster.Record {
	return cluster.Record{Key: key, Value: fmt.Appendf([]byte{}, format, args...)}
}

func appendAll(t *testing.T, l *kafkalog.Log, records ...cluster.Record) {
	t.Helper()
	if err := l.Append(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
}

func barrier(t *testing.T, l *kafkalog.Log) {
	t.Helper()
	if err := l.Barrier(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func commit(t *testing.T, s *kafkalog.Session, records ...cluster.Record) {
	t.Helper()
	if err := s.Commit(t.Context(), records); err != nil {
		t.Fatal(err)
	}
}

// fenced fails the test unless a session is over.
func fenced(t *testing.T, s *kafkalog.Session, records ...cluster.Record) {
	t.Helper()
	if err := s.Commit(t.Context(), records); !errors.Is(err, kafkalog.ErrFenced) {
		t.Fatalf("error %v, want %v", err, kafkalog.ErrFenced)
	}
}
