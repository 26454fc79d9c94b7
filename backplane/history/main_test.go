package history_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// generation and partitions are those of the tests.
const (
	generation = 4
	partitions = 8
)

// memory is a store that keeps what it is given, and fails when it is told to.
type memory struct {
	history.Store // no other method is called

	mu       sync.Mutex
	fail     func(*history.Batch) error // guarded by mu; nil never fails
	batches  []history.Batch            // guarded by mu: what was written
	asked    int                        // guarded by mu: calls of Applied
	applied  [partitions]history.Applied
	entries  [partitions]map[string]history.Entry // guarded by mu: by user and offset
	erasures [partitions]map[string]int64         // guarded by mu: by user
}

func newMemory() *memory {
	m := new(memory)
	for p := range m.applied {
		m.applied[p] = history.Applied{Offset: -1, Floor: -1}
		m.entries[p] = make(map[string]history.Entry)
		m.erasures[p] = make(map[string]int64)
	}
	return m
}

// failWith makes all writes fail, or none if err is nil.
func (m *memory) failWith(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = nil
	if err != nil {
		m.fail = func(*history.Batch) error { return err }
	}
}

func (m *memory) Write(ctx context.Context, b *history.Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.fail != nil {
		if err := m.fail(b); err != nil {
			return err
		}
	}
	if b.Generation != generation {
		return fmt.Errorf("generation %d", b.Generation)
	}
	kept := *b
	kept.Entries = slices.Clone(b.Entries) // the batch is its writer's again
	m.batches = append(m.batches, kept)
	a := &m.applied[b.Partition]
	a.Floor = max(a.Floor, b.Lost-1)
	if b.Applied.Offset > a.Offset {
		a.Offset, a.Time = b.Applied.Offset, max(a.Time, b.Applied.Time)
	}
	for _, e := range b.Entries {
		m.entries[b.Partition][fmt.Sprintf("%s %d", e.User, e.Offset)] = e
	}
	for _, e := range b.Erasures {
		m.erasures[b.Partition][string(e.User)] = max(e.Offset, m.erasures[b.Partition][string(e.User)])
	}
	return nil
}

func (m *memory) Applied(_ context.Context, g uint32, n int32) ([]history.Applied, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	if g != generation || n != partitions {
		return nil, errors.New("other partitions were asked for")
	}
	return slices.Clone(m.applied[:]), nil
}

// written returns the batches since the last call.
func (m *memory) written() []history.Batch {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.batches
	m.batches = nil
	return b
}

var quiet = slog.New(slog.DiscardHandler)

func newWriter(t testing.TB, s history.Store) *history.Writer {
	t.Helper()
	w, err := history.NewWriter(history.Config{Store: s, Generation: generation, N: partitions, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close(context.Background()) })
	return w
}

func start(t testing.TB, w *history.Writer, p backplane.Partition) int64 {
	t.Helper()
	since, err := w.Start(p)
	if err != nil {
		t.Fatal(err)
	}
	return since
}

// userIn returns a user who lives in a partition.
func userIn(p backplane.Partition, i int) string {
	for n := 0; ; n++ {
		u := fmt.Sprintf("user%d", n)
		if backplane.PartitionOf(u, partitions) == p {
			if i == 0 {
				return u
			}
			i--
		}
	}
}

// message returns a message of which id is the client's own id.
func message(id, from string, to ...string) *backplane.Message {
	m := &backplane.Message{From: []byte(from), ID: []byte(id), Body: []byte("body of " + id)}
	for _, u := range to {
		m.To = append(m.To, []byte(u))
	}
	m.MessageID = backplane.Identify(nil, m)
	return m
}

// record returns a message's record in a partition, for those who live there.
func record(p backplane.Partition, offset, time int64, m *backplane.Message) *backplane.Record {
	r := &backplane.Record{Position: backplane.Position{Generation: generation, Partition: p, Offset: offset},
		Time: time, Value: backplane.AppendMessage(nil, m)}
	seen := make(map[string]bool)
	for _, u := range append(slices.Clone(m.To), m.From) {
		if backplane.PartitionOf(u, partitions) == p && !seen[string(u)] {
			seen[string(u)] = true
			r.Recipients = backplane.AppendRecipient(r.Recipients, u)
		}
	}
	return r
}

// hand hands out a record as a consumer does: its bytes are only lent.
func hand(h backplane.Handler, r *backplane.Record) {
	lent := *r
	lent.Value, lent.Recipients = slices.Clone(r.Value), slices.Clone(r.Recipients)
	h.Record(&lent)
	clear(lent.Value)
	clear(lent.Recipients)
}
