package historytest

import (
	"fmt"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
	"pgregory.net/rapid"
)

// testModel compares a store with the reference, under whatever comes.
func testModel(t *testing.T, r *rig) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{rig: &rig{r.store, generations.Add(1), r.now}}
		for p := range m.logs {
			m.logs[p].time = r.now - 20*dayLen
			m.logs[p].applied = history.Applied{Offset: -1, Floor: -1}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"log":   m.log,
			"write": m.write,
			"read":  m.read,
			"":      m.positions,
		})
	})
}

// model is some partitions: what is in the log, and how much of it is written.
type model struct {
	rig  *rig
	logs [2]modelLog
}

// modelLog is a partition.
type modelLog struct {
	records []modelRecord
	time    int64
	applied history.Applied
	written reference
}

// modelRecord is a record of the log, with what it means to its partition.
type modelRecord struct {
	offset, time int64
	entries      []history.Entry
	erasures     []history.Erasure
}

func (m *model) partition(t *rapid.T) (backplane.Partition, *modelLog) {
	p := rapid.IntRange(0, len(m.logs)-1).Draw(t, "partition")
	return backplane.Partition(p), &m.logs[p]
}

// user returns a user of a partition.
func user(t *rapid.T, p backplane.Partition) string {
	return fmt.Sprint("u", p, rapid.SampledFrom([]string{"", "x", "xy", "\x00"}).Draw(t, "user"))
}

func peer(t *rapid.T) string {
	return rapid.SampledFrom([]string{"p", "pq", "r"}).Draw(t, "peer")
}

// log appends records to a partition.
func (m *model) log(t *rapid.T) {
	p, l := m.partition(t)
	offset := int64(-1)
	if n := len(l.records); n > 0 {
		offset = l.records[n-1].offset
	}
	for range rapid.IntRange(1, 12).Draw(t, "records") {
		offset += rapid.Int64Range(1, 3).Draw(t, "step")
		l.time += rapid.SampledFrom([]int64{0, 1, 40 * second, hour}).Draw(t, "time")
		r := modelRecord{offset: offset, time: l.time - rapid.SampledFrom([]int64{0, 0, 30 * second}).Draw(t, "back")}
		kind := rapid.IntRange(0, 9).Draw(t, "kind")
		switch {
		case kind == 0:
			r.erasures = []history.Erasure{{User: []byte(user(t, p)), Offset: offset}}
		case kind < 8:
			seen := make(map[string]bool)
			for range rapid.IntRange(1, 2).Draw(t, "users") {
				u := user(t, p)
				if seen[u] {
					continue
				}
				seen[u] = true
				var peers []string
				for range rapid.IntRange(0, 2).Draw(t, "peers") {
					peers = append(peers, peer(t))
				}
				e := entry(u, offset, r.time, peers...)
				e.Expires = rapid.SampledFrom([]int64{0, 0, m.rig.now + hour}).Draw(t, "expires")
				r.entries = append(r.entries, e)
			}
		}
		l.records = append(l.records, r)
	}
}

// write writes a batch that may begin with what is written already, and end with it, too.
func (m *model) write(t *rapid.T) {
	p, l := m.partition(t)
	if len(l.records) == 0 {
		return
	}
	next := 0
	for next < len(l.records) && l.records[next].offset <= l.applied.Offset {
		next++
	}
	from := rapid.IntRange(0, next).Draw(t, "from")
	to := min(len(l.records), from+rapid.IntRange(1, 20).Draw(t, "count"))
	b := m.rig.batch(p, nil)
	b.Applied.Time = 0
	for i, r := range l.records[:to] {
		b.Applied.Offset, b.Applied.Time = r.offset, max(b.Applied.Time, r.time)
		if i < from {
			continue
		}
		b.Entries = append(b.Entries, r.entries...)
		b.Erasures = append(b.Erasures, r.erasures...)
		if i >= next {
			l.written.entries = append(l.written.entries, r.entries...)
			l.written.erasures = append(l.written.erasures, r.erasures...)
		}
	}
	if to <= from {
		return
	}
	m.rig.write(t, b)
	if b.Applied.Offset > l.applied.Offset {
		l.applied.Offset, l.applied.Time = b.Applied.Offset, b.Applied.Time
	}
}

// read compares a query's answer.
func (m *model) read(t *rapid.T) {
	p, l := m.partition(t)
	q := m.rig.all(user(t, p))
	q.Partition = p
	q.After = rapid.Int64Range(-1, 60).Draw(t, "after")
	if rapid.Bool().Draw(t, "bounded") {
		q.Before = q.After + rapid.Int64Range(0, 60).Draw(t, "before")
	}
	q.Backward = rapid.Bool().Draw(t, "backward")
	q.Limit = rapid.SampledFrom([]int{1, 3, 100}).Draw(t, "limit")
	q.Bytes = rapid.SampledFrom([]int{1, 150, 1 << 20}).Draw(t, "bytes")
	if rapid.Bool().Draw(t, "conversation") {
		q.Peer = []byte(peer(t))
	}
	q.Now += rapid.SampledFrom([]int64{0, 2 * hour}).Draw(t, "now")
	l.written.compare(t, &q, m.rig.read(t, q))
}

// positions compares how far the store has come. It runs after each step.
func (m *model) positions(t *rapid.T) {
	for p, a := range m.rig.applied(t, int32(len(m.logs))) {
		if a != m.logs[p].applied {
			t.Fatalf("partition %d has come to %+v, want %+v", p, a, m.logs[p].applied)
		}
	}
}
