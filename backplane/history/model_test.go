package history_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
	"pgregory.net/rapid"
)

// TestWriterModel: whatever is sent and retried, however often writers stop without a
// word and others take over, and whatever fails meanwhile, the store has what the rules
// say of the whole log.
func TestWriterModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{store: newMemory()}
		defer func() {
			if m.writer != nil {
				_ = m.writer.Close(context.Background())
			}
		}()
		for p := range m.logs {
			m.logs[p].time = 1_000_000_000
		}
		m.restart(t)
		t.Repeat(map[string]func(*rapid.T){
			"send": m.send, "read": m.read, "tick": m.tick, "restart": m.restart, "reassign": m.reassign, "fail": m.fail,
		})
		for p := range m.logs {
			for m.next[p] < len(m.logs[p].records) {
				m.hand(backplane.Partition(p))
			}
		}
		m.tick(t)
		m.compare(t)
	})
}

type model struct {
	store  *memory
	writer *history.Writer
	h      backplane.Handler
	logs   [2]struct {
		records []*backplane.Record
		time    int64
	}
	next   [2]int // of each log: the next record that is handed out
	offset int64
	sent   []*backplane.Message
}

func (m *model) partition(t *rapid.T) backplane.Partition {
	return backplane.Partition(rapid.IntRange(0, len(m.logs)-1).Draw(t, "partition"))
}

// send appends a message to the partitions of its users: a new one, or one of the last
// again, in time to be a duplicate or too late.
func (m *model) send(t *rapid.T) {
	var msg *backplane.Message
	if n := len(m.sent); n > 0 && rapid.Bool().Draw(t, "again") {
		msg = m.sent[n-1-rapid.IntRange(0, min(n-1, 3)).Draw(t, "which")]
	} else {
		msg = m.compose(t)
		m.sent = append(m.sent, msg)
	}
	m.offset++ // with holes where a message has no user
	for p := range m.logs {
		l := &m.logs[p]
		l.time += rapid.SampledFrom([]int64{0, 100, 20_000, 70_000}).Draw(t, "time")
		if r := record(backplane.Partition(p), m.offset, l.time, msg); len(r.Recipients) > 0 {
			l.records = append(l.records, r)
		}
	}
}

func (m *model) compose(t *rapid.T) *backplane.Message {
	from := userIn(m.partition(t), rapid.IntRange(0, 1).Draw(t, "from"))
	var to []string
	for range rapid.IntRange(0, 2).Draw(t, "to") {
		to = append(to, userIn(m.partition(t), rapid.IntRange(0, 1).Draw(t, "user")))
	}
	msg := message(fmt.Sprint(m.offset), from, to...)
	msg.Kind = rapid.SampledFrom([]backplane.Kind{0, 0, 0, 0, backplane.KindSignal, backplane.KindErase}).Draw(t, "kind")
	msg.TTL = rapid.SampledFrom([]int64{0, 1000}).Draw(t, "ttl")
	msg.MessageID = backplane.Identify(nil, msg)
	return msg
}

func (m *model) hand(p backplane.Partition) {
	hand(m.h, m.logs[p].records[m.next[p]])
	m.next[p]++
}

func (m *model) read(t *rapid.T) {
	p := m.partition(t)
	for range rapid.IntRange(1, 5).Draw(t, "records") {
		if m.next[p] < len(m.logs[p].records) {
			m.hand(p)
		}
	}
}

func (m *model) tick(*rapid.T) { m.h.Tick() }

// restart stops the writer without a word, and starts another.
func (m *model) restart(t *rapid.T) {
	if m.writer != nil {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = m.writer.Close(ctx)
	}
	var err error
	m.writer, err = history.NewWriter(history.Config{Store: m.store, Generation: generation, N: partitions, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	m.h = m.writer.Handler(0)
	for p := range m.logs {
		m.begin(t, backplane.Partition(p))
	}
}

// reassign takes a partition from the worker and gives it back.
func (m *model) reassign(t *rapid.T) {
	p := m.partition(t)
	m.h.End(p)
	m.begin(t, p)
}

// begin begins to read where the writer asks for.
func (m *model) begin(t *rapid.T, p backplane.Partition) {
	since, err := m.writer.Start(p)
	if err != nil {
		t.Fatal(err)
	}
	l := &m.logs[p]
	m.next[p] = 0
	for m.next[p] < len(l.records) && l.records[m.next[p]].Time < since {
		m.next[p]++
	}
	offset := int64(0)
	if m.next[p] < len(l.records) {
		offset = l.records[m.next[p]].Offset
		if m.next[p] == 0 {
			offset = 0
		}
	} else if n := len(l.records); n > 0 {
		offset = l.records[n-1].Offset + 1
	}
	m.h.Begin(p, offset, since)
}

// fail makes the next writes fail, before or after they are applied. It does so now and
// then only, since the writer pauses after each.
func (m *model) fail(t *rapid.T) {
	if rapid.IntRange(0, 4).Draw(t, "fails") > 0 {
		return
	}
	var left atomic.Int64
	left.Store(int64(rapid.IntRange(1, 2).Draw(t, "times")))
	applied := rapid.Bool().Draw(t, "applied")
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	m.store.fail = func(b *history.Batch) error {
		if left.Add(-1) < 0 {
			return nil
		}
		if applied {
			for _, e := range b.Entries {
				m.store.entries[b.Partition][fmt.Sprintf("%s %d", e.User, e.Offset)] = e
			}
		}
		return errors.New("a failure")
	}
}

// compare computes what the store should have from the whole log, plainly.
func (m *model) compare(t *rapid.T) {
	for p := range m.logs {
		want := make(map[string]string)
		erased := make(map[string]int64)
		for i, r := range m.logs[p].records {
			var msg backplane.Message
			if err := backplane.ParseMessage(r.Value, &msg); err != nil {
				t.Fatal(err)
			}
			duplicate := false
			for _, earlier := range m.logs[p].records[:i] {
				id, _ := backplane.ParseMessageID(earlier.Value)
				duplicate = duplicate || id == msg.MessageID && r.Time-earlier.Time <= backplane.DuplicateWindow.Milliseconds()
			}
			switch {
			case duplicate:
			case msg.Kind == backplane.KindErase && int(backplane.PartitionOf(msg.From, partitions)) == p:
				erased[string(msg.From)] = r.Offset
			case msg.Kind == backplane.KindMessage:
				for list := r.Recipients; ; {
					user, rest, ok := backplane.NextRecipient(list)
					if !ok {
						break
					}
					list = rest
					e := history.Entry{User: user, Offset: r.Offset, Time: r.Time, Peers: [][]byte{msg.From}}
					if string(user) == string(msg.From) {
						e.Peers = msg.To
					}
					if msg.TTL > 0 {
						e.Expires = r.Time + msg.TTL
					}
					want[fmt.Sprintf("%s %d", user, r.Offset)] = describe(&e)
				}
			}
		}
		got := m.store.entries[p]
		for key, e := range got {
			if want[key] != describe(&e) {
				t.Fatalf("partition %d has %s, want %q", p, describe(&e), want[key])
			}
		}
		for key, e := range want {
			if _, ok := got[key]; !ok {
				t.Fatalf("partition %d lacks %s", p, e)
			}
		}
		if fmt.Sprint(m.store.erasures[p]) != fmt.Sprint(erased) {
			t.Fatalf("partition %d has erasures %v, want %v", p, m.store.erasures[p], erased)
		}
		if m.store.applied[p].Floor != -1 {
			t.Fatalf("partition %d has floor %d", p, m.store.applied[p].Floor)
		}
	}
}
