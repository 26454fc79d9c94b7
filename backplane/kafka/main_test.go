package kafka_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
)

func TestMain(m *testing.M) { kafkatest.Main(m) }

// patience is how long a test waits for what must happen. It only ends tests that
// have failed.
const patience = 2 * time.Minute

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

// waiter keeps the outcomes that it is told.
type waiter struct {
	outcomes chan backplane.Outcome
}

func newWaiter() *waiter { return &waiter{make(chan backplane.Outcome, 16)} }

func (w *waiter) Done(out backplane.Outcome) { w.outcomes <- out }

// outcome returns the next outcome.
func (w *waiter) outcome(t *testing.T) backplane.Outcome {
	t.Helper()
	select {
	case out := <-w.outcomes:
		return out
	case <-time.After(patience):
		t.Fatal("no outcome")
		return backplane.Outcome{}
	}
}

// silent fails the test if an outcome was told.
func (w *waiter) silent(t *testing.T) {
	t.Helper()
	select {
	case out := <-w.outcomes:
		t.Fatalf("told %+v, want nothing", out)
	default:
	}
}

// tally counts outcomes.
type tally struct {
	mu       sync.Mutex
	statuses map[backplane.Status]int
	total    int
}

func newTally() *tally { return &tally{statuses: make(map[backplane.Status]int)} }

func (c *tally) Done(out backplane.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.statuses[out.Status]++
	c.total++
}

func (c *tally) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

func (c *tally) of(s backplane.Status) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.statuses[s]
}

// newProducer returns a producer that is closed when the test ends.
func newProducer(t *testing.T, cfg kafka.Config) *kafka.Producer {
	t.Helper()
	p, err := kafka.NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := p.Close(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
	return p
}

// userIn returns a user of partition p, the i-th of those.
func userIn(p backplane.Partition, n int32, i int) []byte {
	for k := 0; ; k++ {
		id := fmt.Sprintf("user-%d", k)
		if backplane.PartitionOf(id, n) == p {
			if i == 0 {
				return []byte(id)
			}
			i--
		}
	}
}

// newSend returns a send with a message id made from number.
func newSend(number uint64, from []byte, to ...[]byte) *backplane.Send {
	s := &backplane.Send{From: from, To: to, Session: number + 1}
	binary.BigEndian.PutUint64(s.ID[:], number)
	s.Value = backplane.AppendMessage(nil, &backplane.Message{
		MessageID: s.ID, From: from, To: to, ID: fmt.Appendf(nil, "%d", number), Body: []byte("hello"),
	})
	return s
}

func numberOf(id backplane.MessageID) uint64 { return binary.BigEndian.Uint64(id[:]) }

// entry is what a handler keeps of a record.
type entry struct {
	backplane.Position
	time       int64
	number     uint64
	session    uint64
	recipients []string
}

// begin is what a handler keeps of a Begin call.
type begin struct {
	partition     backplane.Partition
	offset, since int64
	after         int // how many records the journal had
}

// journal keeps what all handlers of a consumer were given, and can make a worker
// wait.
type journal struct {
	mu      sync.Mutex
	entries []entry
	ticks   map[int]int
	begins  []begin
	ends    []backplane.Partition
	running map[backplane.Partition]int // Record calls that are running
	gates   map[int]chan struct{}       // workers that wait until it is closed
}

func newJournal() *journal {
	return &journal{
		ticks:   make(map[int]int),
		running: make(map[backplane.Partition]int),
		gates:   make(map[int]chan struct{}),
	}
}

type handler struct {
	journal *journal
	worker  int
}

func (j *journal) handler(worker int) backplane.Handler { return &handler{j, worker} }

func (h *handler) Begin(p backplane.Partition, offset, since int64) {
	j := h.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	j.begins = append(j.begins, begin{p, offset, since, len(j.entries)})
}

func (h *handler) End(p backplane.Partition) {
	h.journal.mu.Lock()
	defer h.journal.mu.Unlock()
	h.journal.ends = append(h.journal.ends, p)
}

func (h *handler) Record(r *backplane.Record) {
	j := h.journal
	j.mu.Lock()
	j.running[r.Partition]++
	gate := j.gates[h.worker]
	j.mu.Unlock()
	if gate != nil {
		<-gate
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	e := entry{Position: r.Position, time: r.Time, session: r.Session}
	if id, err := backplane.ParseMessageID(r.Value); err == nil {
		e.number = numberOf(id)
	}
	for list := r.Recipients; ; {
		user, rest, ok := backplane.NextRecipient(list)
		if !ok {
			break
		}
		e.recipients = append(e.recipients, string(user))
		list = rest
	}
	j.entries = append(j.entries, e)
	j.running[r.Partition]--
}

func (h *handler) Tick() {
	h.journal.mu.Lock()
	defer h.journal.mu.Unlock()
	h.journal.ticks[h.worker]++
}

// block makes a worker wait in its next Record call until the function it
// returns is called.
func (j *journal) block(worker int) (release func()) {
	gate := make(chan struct{})
	j.mu.Lock()
	j.gates[worker] = gate
	j.mu.Unlock()
	return sync.OnceFunc(func() {
		j.mu.Lock()
		delete(j.gates, worker)
		j.mu.Unlock()
		close(gate)
	})
}

func (j *journal) all() []entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]entry(nil), j.entries...)
}

func (j *journal) len() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.entries)
}

func (j *journal) of(p backplane.Partition) []entry {
	var of []entry
	for _, e := range j.all() {
		if e.Partition == p {
			of = append(of, e)
		}
	}
	return of
}

func (j *journal) inRecord(p backplane.Partition) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.running[p]
}

// newConsumer returns a consumer that is closed when the test ends.
func newConsumer(t *testing.T, cfg kafka.Config, workers int, j *journal) *kafka.Consumer {
	t.Helper()
	c, err := kafka.NewConsumer(cfg, workers, j.handler)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func add(t *testing.T, c *kafka.Consumer, since int64, partitions ...backplane.Partition) {
	t.Helper()
	if err := c.Add(partitions, since); err != nil {
		t.Fatal(err)
	}
}

// send produces s and waits for its outcome.
func send(t *testing.T, p *kafka.Producer, s *backplane.Send) backplane.Outcome {
	t.Helper()
	w := newWaiter()
	if err := p.Produce(s, w); err != nil {
		t.Fatal(err)
	}
	return w.outcome(t)
}

// ascending fails the test unless the offsets of entries count up one by one from
// first.
func ascending(t *testing.T, entries []entry, first int64) {
	t.Helper()
	for i, e := range entries {
		if want := first + int64(i); e.Offset != want {
			t.Fatalf("entry %d of partition %d has offset %d, want %d", i, e.Partition, e.Offset, want)
		}
	}
}
