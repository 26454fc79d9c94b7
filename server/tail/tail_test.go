package tail

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/godwit-im/godwit/backplane/history"
)

func wantOffsets(t *testing.T, tail *Tail, user string, want ...int64) {
	t.Helper()
	if got := read(tail, user); !slices.Equal(got, want) {
		t.Errorf("%s has %v, want %v", user, got, want)
	}
}

func wantBounds(t *testing.T, tail *Tail, floor, end int64) {
	t.Helper()
	if tail.Floor() != floor || tail.End() != end {
		t.Errorf("the tail has (%d, %d], want (%d, %d]", tail.Floor(), tail.End(), floor, end)
	}
	if _, f, e := tail.Read(all("nobody")); f != floor || e != end {
		t.Errorf("a read tells (%d, %d], want (%d, %d]", f, e, floor, end)
	}
}

func TestReadEntry(t *testing.T) {
	tail := NewTail()
	s := newSample(7, 5000, "alice", []string{"bob"}, "alice", "bob")
	s.TTL = 100
	s.encode()
	want := bytes.Clone(s.Value)
	add(tail, s)
	clear(s.Value) // a fetch buffer is used again
	clear(s.Recipients)

	for _, user := range []string{"alice", "bob"} {
		p, _, _ := tail.Read(all(user))
		if len(p.Entries) != 1 || p.More {
			t.Fatalf("%s: %+v", user, p)
		}
		e := p.Entries[0]
		if string(e.User) != user || e.Offset != 7 || e.Time != 5000 || e.Expires != 5100 || !bytes.Equal(e.Value, want) || e.Peers != nil {
			t.Errorf("%s: %+v", user, e)
		}
		if cap(e.Value) != len(e.Value) {
			t.Error("whoever appends to the value writes into the tail")
		}
	}
}

func TestBoundsOfAFreshTail(t *testing.T) {
	tail := NewTail()
	wantBounds(t, tail, -1, -1)
	if n := tail.Newest([]byte("alice")); n != -1 {
		t.Errorf("Newest is %d", n)
	}
	if _, ok := tail.Evict(); ok {
		t.Error("evicted from an empty tail")
	}
	tail.Begin(100, 0)
	wantBounds(t, tail, 99, 99)
}

// TestFirstWindow: what comes in the first W after the start is looked at, and not served.
func TestFirstWindow(t *testing.T) {
	const since = 1_000_000
	at := func(offset, time int64) sample { return newSample(offset, time, "bob", []string{"alice"}, "alice") }
	tail := NewTail()
	tail.Begin(10, since)
	wantBounds(t, tail, 9, 9)
	add(tail, at(10, since), at(11, since+windowMS-1))
	wantBounds(t, tail, 11, 11)
	wantOffsets(t, tail, "alice")
	tail.Pass(12, since+windowMS-1)
	wantBounds(t, tail, 12, 12)

	add(tail, at(13, since+windowMS))
	tail.Pass(14, since+windowMS)
	wantBounds(t, tail, 12, 14)
	wantOffsets(t, tail, "alice", 13)

	// A log time that goes back to before the window's end: it may be a duplicate, and
	// to serve what stands before it but not the record would be a hole.
	add(tail, at(15, since+windowMS-1))
	wantBounds(t, tail, 15, 15)
	wantOffsets(t, tail, "alice")
	add(tail, at(16, since+windowMS))
	wantOffsets(t, tail, "alice", 16)
}

func TestPass(t *testing.T) {
	tail := NewTail()
	add(tail, simple(3, "alice"))
	tail.Pass(4, 4000)
	add(tail, simple(5)) // concerns nobody
	wantBounds(t, tail, -1, 5)
	wantOffsets(t, tail, "alice", 3)
	if freed, ok := tail.Evict(); !ok || freed <= 0 || tail.Bytes() != 0 {
		t.Errorf("evicted %d, %v; %d bytes left", freed, ok, tail.Bytes())
	}
	if _, ok := tail.Evict(); ok {
		t.Error("evicted a record that was passed over")
	}
	wantBounds(t, tail, 3, 5)
}

func TestBadRecipients(t *testing.T) {
	tail := NewTail()
	s := simple(1, "alice")
	s.Recipients = append(s.Recipients, 0xff) // what follows is no list of users
	junk := simple(2, "alice")
	junk.Recipients = []byte{0xff}
	add(tail, s, junk)
	wantOffsets(t, tail, "alice", 1)
	wantBounds(t, tail, -1, 2)
}

func TestUserListedTwice(t *testing.T) {
	tail := NewTail()
	for o := range int64(3) {
		add(tail, simple(o, "bob", "alice", "alice", "carol", "alice"))
	}
	for _, user := range []string{"alice", "bob", "carol"} {
		wantOffsets(t, tail, user, 0, 1, 2)
	}
	tail.Evict()
	wantOffsets(t, tail, "alice", 1, 2)
	wantOffsets(t, tail, "carol", 1, 2)
	tail.Evict()
	tail.Evict()
	if tail.Newest([]byte("alice")) != -1 || tail.Bytes() != 0 {
		t.Errorf("%d bytes left", tail.Bytes())
	}
}

func TestEvict(t *testing.T) {
	tail := NewTail()
	add(tail, simple(1, "alice", "bob"), simple(4, "bob"), simple(9, "alice"))
	for _, step := range []struct {
		floor      int64
		alice, bob []int64
		newest     [2]int64
	}{
		{1, []int64{9}, []int64{4}, [2]int64{9, 4}},
		{4, []int64{9}, []int64{}, [2]int64{9, -1}},
		{9, []int64{}, []int64{}, [2]int64{-1, -1}},
	} {
		before := tail.Bytes()
		freed, ok := tail.Evict()
		if !ok || freed != before-tail.Bytes() {
			t.Errorf("freed %d, %v; the bytes went from %d to %d", freed, ok, before, tail.Bytes())
		}
		wantBounds(t, tail, step.floor, 9)
		wantOffsets(t, tail, "alice", step.alice...)
		wantOffsets(t, tail, "bob", step.bob...)
		if got := [2]int64{tail.Newest([]byte("alice")), tail.Newest([]byte("bob"))}; got != step.newest {
			t.Errorf("the newest are %v, want %v", got, step.newest)
		}
	}
}

func TestTTL(t *testing.T) {
	tail := NewTail()
	for o := range int64(4) {
		s := simple(o, "alice") // log time 1000*o
		s.TTL = 1500 * (o % 2)
		s.encode()
		add(tail, s)
	}
	for _, c := range []struct {
		now  int64
		want []int64
	}{
		{2499, []int64{0, 1, 2, 3}},
		{2500, []int64{0, 2, 3}},
		{4500, []int64{0, 2}},
	} {
		q := all("alice")
		q.Now = c.now
		p, _, _ := tail.Read(q)
		if got := offsets(p); !slices.Equal(got, c.want) {
			t.Errorf("at %d: %v, want %v", c.now, got, c.want)
		}
	}
	// What is hidden does not count toward the limit.
	q := all("alice")
	q.Now, q.Limit = 4500, 2
	if p, _, _ := tail.Read(q); len(p.Entries) != 2 {
		t.Errorf("%v", offsets(p))
	}
}

func TestPeer(t *testing.T) {
	tail := NewTail()
	add(tail,
		newSample(0, 0, "bob", []string{"alice", "carol"}, "alice"),
		newSample(1, 0, "alice", []string{"bob", "carol"}, "alice"),
		newSample(2, 0, "carol", []string{"alice"}, "alice"),
		newSample(3, 0, "alice", []string{"alice"}, "alice"),
		newSample(4, 0, "alice", []string{"dave"}, "alice"),
	)
	for peer, want := range map[string][]int64{
		"":      {0, 1, 2, 3, 4},
		"bob":   {0, 1},
		"carol": {1, 2},
		"alice": {3},
		"dave":  {4},
		"erin":  {},
	} {
		q := all("alice")
		q.Peer = []byte(peer)
		p, _, _ := tail.Read(q)
		if got := offsets(p); !slices.Equal(got, want) {
			t.Errorf("with %q: %v, want %v", peer, got, want)
		}
	}
}

func TestErase(t *testing.T) {
	tail := NewTail()
	add(tail, simple(0, "alice", "bob"), simple(1, "alice"))
	tail.Erase([]byte("alice"), 2)
	wantBounds(t, tail, -1, 2)
	wantOffsets(t, tail, "alice")
	wantOffsets(t, tail, "bob", 0)
	if n := tail.Newest([]byte("alice")); n != -1 {
		t.Errorf("Newest is %d", n)
	}
	add(tail, simple(3, "alice"))
	wantOffsets(t, tail, "alice", 3)
	if a, b := tail.Erased([]byte("alice")), tail.Erased([]byte("bob")); a != 2 || b != -1 {
		t.Errorf("erased are %d and %d", a, b)
	}

	// Bounds at records that were erased lead to no others of them.
	for _, q := range []history.Query{{After: 0, Before: math.MaxInt64}, {After: -1, Before: 1, Backward: true}} {
		q.User, q.Limit, q.Bytes = []byte("alice"), 10, 1000
		want := []int64{3}
		if q.Backward {
			want = []int64{}
		}
		if p, _, _ := tail.Read(&q); !slices.Equal(offsets(p), want) {
			t.Errorf("%+v: %v, want %v", q, offsets(p), want)
		}
	}

	for range 3 {
		tail.Evict()
	}
	wantBounds(t, tail, 3, 3)
	if a := tail.Erased([]byte("alice")); a != 2 {
		t.Errorf("the erasure went with the records: %d", a)
	}
	tail.Erase([]byte("alice"), 4)
	if a := tail.Erased([]byte("alice")); a != 4 {
		t.Errorf("the later erasure is not remembered: %d", a)
	}

	// The log was cut off, and goes on from where it was cut.
	tail.Erase([]byte("bob"), 8)
	tail.Begin(6, 0)
	wantBounds(t, tail, 5, 5)
	if a, b := tail.Erased([]byte("alice")), tail.Erased([]byte("bob")); a != 4 || b != -1 {
		t.Errorf("erased are %d and %d", a, b)
	}
}

// TestErasuresFrom: the tail tells from where on it remembers all erasures.
func TestErasuresFrom(t *testing.T) {
	ts := NewTails(1, 1, 1, 1<<20)
	w, tail := ts.Worker(0), ts.Partition(0)
	want := func(when string, want int64) {
		t.Helper()
		if got := tail.ErasuresFrom(); got != want {
			t.Errorf("%s: from %d, want %d", when, got, want)
		}
	}
	want("before it has begun", math.MaxInt64)
	w.Begin(0, 30, 0)
	want("when it has begun", 30)
	w.Begin(0, 50, 0)
	want("when the log has lost what came next", 30)
	w.Begin(0, 20, 0)
	want("when the log was cut off", 20)
	for i := range maxErasures + 10 {
		tail.Erase(fmt.Appendf(nil, "user-%d", i), 100+2*int64(i))
	}
	want("when the first ten were forgotten", 119)
	ts.Drop(0)
	want("when the partition was given up", math.MaxInt64)
	w.Begin(0, 5000, 0)
	want("when it has begun again", 5000)
}

func TestErasuresAreBounded(t *testing.T) {
	tail := NewTail()
	user := func(i int) []byte { return fmt.Appendf(nil, "user-%d", i) }
	for i := range maxErasures + 10 {
		tail.Erase(user(i), int64(i))
	}
	bound := tail.Bytes()
	if len(tail.erased) != maxErasures {
		t.Errorf("%d erasures", len(tail.erased))
	}
	for i := range maxErasures + 10 {
		want := int64(i)
		if i < 10 {
			want = -1
		}
		if got := tail.Erased(user(i)); got != want {
			t.Fatalf("the erasure of %s: %d, want %d", user(i), got, want)
		}
	}
	tail.Erase(user(10), 5000)
	if tail.Bytes() != bound || tail.Erased(user(10)) != 5000 {
		t.Error("the user was counted again")
	}
	tail.Begin(0, 0)
	if tail.Bytes() != 0 || tail.erased != nil {
		t.Errorf("%d bytes for nothing", tail.Bytes())
	}
}

func TestPages(t *testing.T) {
	tail := NewTail()
	size := 0
	for o := range int64(10) {
		s := simple(o, "alice", "bob")
		size = len(s.Value)
		add(tail, s)
	}
	for _, c := range []struct {
		q    history.Query
		want []int64
		more bool
	}{
		{history.Query{After: -1, Before: 3, Limit: 9, Bytes: 9999}, []int64{0, 1, 2}, false},
		{history.Query{After: -1, Before: 3, Limit: 3, Bytes: 9999}, []int64{0, 1, 2}, false},
		{history.Query{After: -1, Before: 4, Limit: 3, Bytes: 9999}, []int64{0, 1, 2}, true},
		{history.Query{After: 6, Before: 99, Limit: 3, Bytes: 9999}, []int64{7, 8, 9}, false},
		{history.Query{After: 9, Before: 99, Limit: 3, Bytes: 9999}, []int64{}, false},
		{history.Query{After: 5, Before: 6, Limit: 3, Bytes: 9999}, []int64{}, false},
		{history.Query{After: 6, Before: 2, Limit: 3, Bytes: 9999}, []int64{}, false},
		{history.Query{After: -1, Before: 99, Limit: 0, Bytes: 9999}, []int64{}, true},
		{history.Query{After: -1, Before: 99, Limit: 9, Bytes: 1}, []int64{0}, true},
		{history.Query{After: -1, Before: 99, Limit: 9, Bytes: 2 * size}, []int64{0, 1}, true},
		{history.Query{After: -1, Before: 99, Limit: 9, Bytes: 2*size + 1}, []int64{0, 1, 2}, true},
		{history.Query{After: -1, Before: 2, Limit: 9, Bytes: 2 * size}, []int64{0, 1}, false},
		{history.Query{After: 3, Before: 99, Limit: 3, Bytes: 9999, Backward: true}, []int64{9, 8, 7}, true},
		{history.Query{After: 3, Before: 7, Limit: 3, Bytes: 9999, Backward: true}, []int64{6, 5, 4}, false},
		{history.Query{After: -1, Before: 0, Limit: 3, Bytes: 9999, Backward: true}, []int64{}, false},
		{history.Query{After: -1, Before: 1, Limit: 3, Bytes: 9999, Backward: true}, []int64{0}, false},
	} {
		c.q.User = []byte("bob")
		p, _, _ := tail.Read(&c.q)
		if got := offsets(p); !slices.Equal(got, c.want) || p.More != c.more {
			t.Errorf("%+v: %v, more %v; want %v, %v", c.q, got, p.More, c.want, c.more)
		}
	}
}

// TestSameHash puts two users whose hashes are the same into a tail.
func TestSameHash(t *testing.T) {
	seen := make(map[uint32]string)
	var alice, bob string
	for i := 0; bob == ""; i++ { // some 77,000 tries
		user := fmt.Sprint("user-", i)
		hash := hashUser([]byte(user))
		if other, ok := seen[hash]; ok {
			alice, bob = other, user
		}
		seen[hash] = user
	}
	tail := NewTail()
	add(tail, simple(0, alice), simple(1, bob, alice), simple(2, bob), simple(3, alice))
	wantOffsets(t, tail, alice, 0, 1, 3)
	wantOffsets(t, tail, bob, 1, 2)
	tail.Evict()
	tail.Evict()
	wantOffsets(t, tail, alice, 3)
	wantOffsets(t, tail, bob, 2)
	tail.Erase([]byte(alice), 4)
	wantOffsets(t, tail, alice)
	wantOffsets(t, tail, bob, 2)
	tail.Evict()
	tail.Evict()
	wantOffsets(t, tail, bob)
	if tail.users.heads != nil || tail.links.len() != 0 {
		t.Error("something is left")
	}
}

// TestNumbersWrap runs the numbers of records and links past 2^32.
func TestNumbersWrap(t *testing.T) {
	tail := NewTail()
	for _, start := range []*uint32{&tail.records.first, &tail.records.next} {
		*start = math.MaxUint32 - 5
	}
	for _, start := range []*uint32{&tail.links.first, &tail.links.next} {
		*start = math.MaxUint32 - 9
	}
	for o := range int64(40) {
		add(tail, simple(o, "alice", "bob"))
		if o >= 7 {
			tail.Evict()
		}
		from := max(0, o-6)
		var want []int64
		for i := from; i <= o; i++ {
			want = append(want, i)
		}
		wantOffsets(t, tail, "alice", want...)
		wantOffsets(t, tail, "bob", want...)
	}
}

func TestBeginForgets(t *testing.T) {
	tail := NewTail()
	add(tail, simple(0, "alice"), simple(1, "alice"))
	tail.Begin(1, -windowMS)
	wantBounds(t, tail, 0, 0)
	wantOffsets(t, tail, "alice")
	if tail.Bytes() != 0 {
		t.Errorf("%d bytes", tail.Bytes())
	}
	add(tail, simple(1, "alice"))
	wantOffsets(t, tail, "alice", 1)
}
