package tail

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
	"pgregory.net/rapid"
)

var modelUsers = []string{"a", "b", "c", "dd", "eee"}

// model is what a tail is to say: the rules applied to a plain list of all records
// since Begin.
type model struct {
	known      int64
	floor, end int64
	records    []modelRecord
	erased     map[string]int64
}

type modelRecord struct {
	sample
	users []string
	turn  int // when it came, in all partitions
}

func newModel() *model { return &model{floor: -1, end: -1, erased: make(map[string]int64)} }

func (m *model) begin(offset, since int64) {
	m.known = since + windowMS
	m.floor, m.end, m.records = offset-1, offset-1, nil
	for u, at := range m.erased {
		if at >= offset {
			delete(m.erased, u)
		}
	}
}

func (m *model) lose(offset int64) { m.floor, m.end, m.records = offset, offset, nil }

func (m *model) add(r modelRecord) {
	switch {
	case r.Time < m.known:
		m.lose(r.Offset)
	case len(r.users) > 0:
		m.records = append(m.records, r)
		fallthrough
	default:
		m.end = r.Offset
	}
}

func (m *model) pass(offset, time int64) {
	if time < m.known {
		m.lose(offset)
	}
	m.end = offset
}

func (m *model) erase(user string, offset int64) { m.erased[user], m.end = offset, offset }

func (m *model) evict() {
	m.floor = m.records[0].Offset
	m.records = m.records[1:]
}

// of returns the records of a user that are not erased.
func (m *model) of(user string) (list []modelRecord) {
	erased, ok := m.erased[user]
	for _, r := range m.records {
		if slices.Contains(r.users, user) && !(ok && r.Offset <= erased) {
			list = append(list, r)
		}
	}
	return list
}

func (m *model) read(q *history.Query) (p history.Page) {
	list := m.of(string(q.User))
	if q.Backward {
		slices.Reverse(list)
	}
	size := 0
	for _, r := range list {
		if r.Offset <= q.After || r.Offset >= q.Before {
			continue
		}
		if len(p.Entries) >= q.Limit || len(p.Entries) > 0 && size >= q.Bytes {
			p.More = true
			break
		}
		peers := []string{string(r.From)}
		if string(r.From) == string(q.User) {
			peers = nil
			for _, to := range r.To {
				peers = append(peers, string(to))
			}
		}
		if r.Expired(r.Time, q.Now) || len(q.Peer) > 0 && !slices.Contains(peers, string(q.Peer)) {
			continue
		}
		e := history.Entry{User: q.User, Offset: r.Offset, Time: r.Time, Value: r.Value}
		if r.TTL > 0 {
			e.Expires = r.Time + r.TTL
		}
		p.Entries = append(p.Entries, e)
		size += len(r.Value)
	}
	return p
}

// check compares a tail with its model, with a query of the test's choice.
func (m *model) check(t *rapid.T, tail *Tail, time int64) {
	if tail.Floor() != m.floor || tail.End() != m.end {
		t.Fatalf("the tail has (%d, %d], want (%d, %d]", tail.Floor(), tail.End(), m.floor, m.end)
	}
	users := make(map[string]bool)
	for _, u := range modelUsers {
		list := m.of(u)
		newest := int64(-1)
		if len(list) > 0 {
			newest, users[u] = list[len(list)-1].Offset, true
		}
		if got := tail.Newest([]byte(u)); got != newest {
			t.Fatalf("the newest of %s is %d, want %d", u, got, newest)
		}
		erased, ok := m.erased[u]
		if !ok {
			erased = -1
		}
		if got := tail.Erased([]byte(u)); got != erased {
			t.Fatalf("the erasure of %s is at %d, want %d", u, got, erased)
		}
	}
	if tail.users.used != len(users) || tail.records.len() != len(m.records) {
		t.Fatalf("%d users and %d records, want %d and %d", tail.users.used, tail.records.len(), len(users), len(m.records))
	}
	q := drawQuery(t, m.end, time)
	p, floor, end := tail.Read(q)
	if want := m.read(q); !samePage(p, want) || floor != m.floor || end != m.end {
		t.Fatalf("%+v: got %+v in (%d, %d]\nwant %+v in (%d, %d]", q, p, floor, end, want, m.floor, m.end)
	}
}

func drawQuery(t *rapid.T, end, time int64) *history.Query {
	bound := rapid.OneOf(rapid.Just(int64(-1)), rapid.Just(int64(math.MaxInt64)), rapid.Int64Range(-1, end+2))
	return &history.Query{
		User:     []byte(rapid.SampledFrom(modelUsers).Draw(t, "user")),
		Peer:     []byte(rapid.SampledFrom([]string{"", "", "a", "b", "dd"}).Draw(t, "peer")),
		After:    min(bound.Draw(t, "after"), math.MaxInt64-1),
		Before:   max(bound.Draw(t, "before"), 0),
		Backward: rapid.Bool().Draw(t, "backward"),
		Limit:    rapid.SampledFrom([]int{0, 1, 3, math.MaxInt}).Draw(t, "limit"),
		Bytes:    rapid.SampledFrom([]int{1, 150, math.MaxInt}).Draw(t, "bytes"),
		Now:      time + rapid.Int64Range(0, 3000).Draw(t, "now"),
	}
}

func samePage(a, b history.Page) bool {
	return a.More == b.More && slices.EqualFunc(a.Entries, b.Entries, func(a, b history.Entry) bool {
		return a.Offset == b.Offset && a.Time == b.Time && a.Expires == b.Expires &&
			bytes.Equal(a.Value, b.Value) && bytes.Equal(a.User, b.User)
	})
}

// drawRecord draws a record for users of a partition.
func drawRecord(t *rapid.T, offset, time int64) modelRecord {
	name := rapid.SampledFrom(modelUsers)
	to := rapid.SliceOfN(name, 0, 3).Draw(t, "to")
	users := rapid.SliceOfN(name, 0, 4).Draw(t, "users")
	r := modelRecord{sample: newSample(offset, time, name.Draw(t, "from"), to, users...), users: users}
	r.TTL = rapid.SampledFrom([]int64{0, 0, 1, 2000}).Draw(t, "ttl")
	r.Body = bytes.Repeat([]byte{'x'}, rapid.IntRange(0, 60).Draw(t, "body"))
	r.encode()
	return r
}

func TestTailModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tail, m := NewTail(), newModel()
		offset, time := int64(-1), int64(1_000_000)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			what := rapid.IntRange(0, 19).Draw(t, "what")
			if what > 0 {
				offset += rapid.Int64Range(1, 3).Draw(t, "skip")
			}
			time += rapid.Int64Range(-500, 1500).Draw(t, "later")
			switch what {
			case 0: // the log goes on somewhere else
				offset += rapid.Int64Range(-3, 3).Draw(t, "jump")
				offset = max(offset, 0)
				since := time - windowMS + rapid.Int64Range(-1000, 1000).Draw(t, "since")
				tail.Begin(offset, since)
				m.begin(offset, since)
				offset--
			case 1, 2:
				tail.Pass(offset, time)
				m.pass(offset, time)
			case 3:
				user := rapid.SampledFrom(modelUsers).Draw(t, "erased")
				tail.Erase([]byte(user), offset)
				m.erase(user, offset)
			case 4, 5, 6:
				before := tail.Bytes()
				freed, ok := tail.Evict()
				if ok != (len(m.records) > 0) || freed != before-tail.Bytes() {
					t.Fatalf("evicted %d, %v of %d records", freed, ok, len(m.records))
				}
				if ok {
					m.evict()
				}
			default:
				r := drawRecord(t, offset, time)
				tail.Append(r.Record, r.Message)
				m.add(r)
			}
			m.check(t, tail, time)
		}
	})
}

// TestPagesModel reads through a tail with pages of any size, both ways: nothing is
// left out, nothing comes twice.
func TestPagesModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tail, m := NewTail(), newModel()
		for o := range rapid.Int64Range(0, 60).Draw(t, "records") {
			r := drawRecord(t, o, 0)
			tail.Append(r.Record, r.Message)
			m.add(r)
		}
		q := all("a")
		q.Backward = rapid.Bool().Draw(t, "backward")
		want := offsets(m.read(q))
		got := []int64{}
		for more := true; more; {
			q.Limit = rapid.IntRange(1, 5).Draw(t, "limit")
			p, _, _ := tail.Read(q)
			got = append(got, offsets(p)...)
			if more = p.More; more {
				if last := got[len(got)-1]; q.Backward {
					q.Before = last
				} else {
					q.After = last
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("read %v, want %v", got, want)
		}
	})
}

// TestTailsModel checks the budget: what is given up for it are the oldest records of
// all partitions, and only as long as there is too little room.
func TestTailsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const partitions = 3
		budget := rapid.Int64Range(0, 6000).Draw(t, "budget")
		ts := NewTails(7, partitions, 1, budget)
		w := ts.Worker(0)
		var models [partitions]*model
		var offset [partitions]int64
		for p := range models {
			models[p] = newModel()
		}
		turns := 0
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			p := backplane.Partition(rapid.IntRange(0, partitions-1).Draw(t, "partition"))
			m := models[p]
			time := int64(turns)
			r := drawRecord(t, offset[p], time)
			r.Partition, r.turn = p, turns
			turns++
			offset[p]++
			switch rapid.IntRange(0, 15).Draw(t, "what") {
			case 0:
				w.Begin(p, r.Offset, time-windowMS)
				m.begin(r.Offset, time-windowMS)
				offset[p]--
			case 1:
				ts.Drop(p)
				m.lose(m.end)
				clear(m.erased)
				offset[p]--
			case 2:
				w.Pass(r.Record)
				m.pass(r.Offset, r.Time)
			case 3:
				w.Erase(r.Record, r.Message)
				m.erase(string(r.From), r.Offset)
			case 4: // log time goes back
				r.Time = m.known - 1
				fallthrough
			default:
				if rapid.IntRange(0, 9).Draw(t, "large") == 0 {
					r.Body = make([]byte, 2000)
					r.encode()
				}
				w.Append(r.Record, r.Message)
				switch {
				case len(r.users) > 0 && r.Time >= m.known && cost(r.Record) > budget:
					m.lose(r.Offset)
				default:
					m.add(r)
				}
			}

			// What the budget took are the first of all to have come.
			var kept, gone []int
			for p, m := range models {
				floor := ts.Partition(backplane.Partition(p)).Floor()
				for len(m.records) > 0 && m.records[0].Offset <= floor {
					gone = append(gone, m.records[0].turn)
					m.evict()
				}
				for _, r := range m.records {
					kept = append(kept, r.turn)
				}
			}
			if len(gone) > 0 && len(kept) > 0 && slices.Max(gone) > slices.Min(kept) {
				t.Fatalf("gave up the records %v before %v", gone, kept)
			}
			var used, erasures int64
			for p, m := range models {
				tail := ts.Partition(backplane.Partition(p))
				m.check(t, tail, time)
				used += tail.Bytes()
				erasures += tail.erasedBytes
				if end := ts.End(backplane.Partition(p)); end != (backplane.Position{Generation: 7, Partition: backplane.Partition(p), Offset: m.end}) {
					t.Fatalf("the end is %+v", end)
				}
			}
			if used += w.order.bytes(); used != ts.Bytes() {
				t.Fatalf("%d bytes are counted as %d", used, ts.Bytes())
			}
			if used > budget && used != erasures {
				t.Fatalf("%d bytes (%d of erasures) for a budget of %d", used, erasures, budget)
			}
		}
	})
}

// TestBudgetIsUsed: a worker gives up no more than it has to.
func TestBudgetIsUsed(t *testing.T) {
	const budget = 1 << 20
	ts := NewTails(0, 64, 2, 2*budget)
	for o := range int64(20_000) {
		s := simple(o, fmt.Sprint("user-", o%5000))
		s.Partition = backplane.Partition(2 * (o % 32)) // all of them worker 0's
		ts.Worker(0).Append(s.Record, s.Message)
		if used := ts.Bytes(); used > budget || o > 10_000 && used < budget*95/100 {
			t.Fatalf("%d of %d bytes after %d records", used, budget, o)
		}
	}
	// All partitions reach equally far back.
	for p := range backplane.Partition(64) {
		if first := ts.Partition(p).Floor(); p%2 == 0 && first < ts.Partition(0).Floor()-32 {
			t.Errorf("partition %d reaches back to %d, partition 0 to %d", p, first, ts.Partition(0).Floor())
		}
	}
}

// TestBudgetZero: nothing is kept, and whoever asks is told so.
func TestBudgetZero(t *testing.T) {
	ts := NewTails(0, 2, 2, 0)
	for o := range int64(10) {
		s := simple(o, "alice")
		s.Partition = 1
		ts.Worker(1).Append(s.Record, s.Message)
		wantBounds(t, ts.Partition(1), o, o)
		if n := ts.Partition(1).Newest([]byte("alice")); n != -1 || ts.Bytes() != 0 {
			t.Fatalf("the newest is %d, %d bytes", n, ts.Bytes())
		}
	}
}

// TestLargerThanTheBudget: a record that does not fit costs its own partition what
// stands before it, and the others nothing.
func TestLargerThanTheBudget(t *testing.T) {
	ts := NewTails(0, 2, 1, 4096)
	w := ts.Worker(0)
	for p := range backplane.Partition(2) {
		s := simple(1, "alice")
		s.Partition = p
		w.Append(s.Record, s.Message)
	}
	s := simple(2, "alice")
	s.Body = make([]byte, 4096)
	s.encode()
	w.Append(s.Record, s.Message)
	wantBounds(t, ts.Partition(0), 2, 2)
	wantBounds(t, ts.Partition(1), -1, 1)
	wantOffsets(t, ts.Partition(1), "alice", 1)
	next := simple(3, "alice")
	w.Append(next.Record, next.Message)
	wantOffsets(t, ts.Partition(0), "alice", 3)
}

func TestDrop(t *testing.T) {
	ts := NewTails(0, 2, 1, 1<<20)
	w := ts.Worker(0)
	for p := range backplane.Partition(2) {
		s := simple(5, "alice")
		s.Partition = p
		w.Append(s.Record, s.Message)
		erase := simple(6, "bob")
		erase.Partition, erase.From = p, []byte("bob")
		w.Erase(erase.Record, erase.Message)
	}
	ts.Drop(1)
	wantBounds(t, ts.Partition(1), 6, 6)
	wantOffsets(t, ts.Partition(1), "alice")
	if ts.Partition(1).Erased([]byte("bob")) != -1 || ts.Partition(1).Bytes() != 0 {
		t.Error("something is left")
	}
	wantOffsets(t, ts.Partition(0), "alice", 5)
}
