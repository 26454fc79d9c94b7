package pebble

import (
	"bytes"
	"context"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/godwit-im/godwit/backplane/history"
	"pgregory.net/rapid"
)

// anyKey draws a key as the store writes them, or what begins one.
func anyKey(t *rapid.T) []byte {
	id := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 2, 'a', 0xff}), 0, 3)
	d, generation := day(rapid.IntRange(0, 2).Draw(t, "day")), uint32(rapid.IntRange(0, 1).Draw(t, "generation"))
	var key []byte
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		key = dayKey(place{generation, 1}, d)
	case 1:
		key = appliedKey(place{generation, 1})
	case 2:
		key = appendUser(nil, kindEntry, d, generation, id.Draw(t, "user"))
	default:
		key = appendID(appendUser(nil, kindPeer, d, generation, id.Draw(t, "user")), id.Draw(t, "peer"))
	}
	if rapid.Bool().Draw(t, "offset") {
		key = appendOffset(key, rapid.Int64Range(0, 300).Draw(t, "offset"))
	}
	return key[:len(key)-min(len(key)-1, rapid.SampledFrom([]int{0, 0, 0, 1, 4, 9}).Draw(t, "cut"))]
}

// TestSplit checks what Pebble asks of a comparer whose keys have prefixes.
func TestSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyKey(t), anyKey(t)
		pa, pb := a[:splitKey(a)], b[:splitKey(b)]
		if splitKey(pa) != len(pa) {
			t.Fatalf("%x is no prefix of its own", pa)
		}
		if c := comparer.Compare(pa, pb); c < 0 && comparer.Compare(a, b) >= 0 {
			t.Fatalf("%x (%x) and %x (%x): the prefixes are in another order than the keys", a, pa, b, pb)
		}
		if end := after(nil, a); bytes.Compare(a, end) >= 0 || bytes.HasPrefix(end, a) || bytes.HasPrefix(b, a) && bytes.Compare(b, end) >= 0 {
			t.Fatalf("%x is not right behind all that begins with %x", end, a)
		}
	})
}

// TestSplitParts: the prefix of an entry is all but its offset.
func TestSplitParts(t *testing.T) {
	entry := appendUser(nil, kindEntry, 1, 2, []byte("alice"))
	peer := appendID(appendUser(nil, kindPeer, 1, 2, []byte("alice")), []byte("bob"))
	for _, prefix := range [][]byte{entry, peer} {
		key := appendOffset(bytes.Clone(prefix), 7)
		if n := splitKey(key); n != len(prefix) {
			t.Errorf("the prefix of %x has %d bytes, want %d", key, n, len(prefix))
		}
	}
	for _, key := range [][]byte{metaKey, appliedKey(place{1, 2}), dayKey(place{1, 2}, 3), {kindEntry}, entry[:9]} {
		if n := splitKey(key); n != len(key) {
			t.Errorf("the prefix of %x has %d bytes", key, n)
		}
	}
}

// count returns how many keys of a kind the database has.
func count(t *testing.T, s *Store, kind byte) (n int) {
	t.Helper()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
	if err != nil {
		t.Fatal(err)
	}
	for it.First(); it.Valid(); it.Next() {
		n++
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}

func (s *Store) expectCounts(t *testing.T, when string, days, entries, peers int) {
	t.Helper()
	if d, e, p := count(t, s, kindDay), count(t, s, kindEntry), count(t, s, kindPeer); d != days || e != entries || p != peers {
		t.Errorf("%s there are %d days, %d entries and %d of conversations, want %d, %d and %d", when, d, e, p, days, entries, peers)
	}
}

// TestNothingStays: what is trimmed or erased is gone from the files, not only from answers.
func TestNothingStays(t *testing.T) {
	s := reopen(t, t.TempDir())
	for i := range int64(5) {
		write(t, s, fill(0, 10*i, 10*i+10, (i+1)*dayLength))
		write(t, s, fill(1, 10*i, 10*i+10, (i+1)*dayLength))
	}
	s.expectCounts(t, "first", 10, 100, 100)
	if err := s.Trim(t.Context(), 3*dayLength+5); err != nil {
		t.Fatal(err)
	}
	s.expectCounts(t, "after a trim", 6, 60, 60)
	write(t, s, &history.Batch{Generation: generation, Erasures: []history.Erasure{{User: userOf(0), Offset: 60}},
		Applied: history.Applied{Offset: 60, Time: 6 * dayLength}})
	s.expectCounts(t, "after an erasure", 6, 30, 30)
	write(t, s, fill(0, 0, 50, dayLength)) // a replay
	s.expectCounts(t, "after a replay", 6, 30, 30)
	if err := s.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.expectCounts(t, "after a reset", 0, 0, 0)
	if count(t, s, kindMeta) != 1 {
		t.Error("a reset store does not know whose it is")
	}
}

// TestLateEntries: entries that come when their day is trimmed are kept above the floor,
// and go with the oldest day.
func TestLateEntries(t *testing.T) {
	dir := t.TempDir()
	s := reopen(t, dir)
	write(t, s, fill(0, 0, 10, 1*dayLength))
	if err := s.Trim(t.Context(), 5*dayLength); err != nil {
		t.Fatal(err)
	}
	write(t, s, fill(0, 10, 20, 2*dayLength))
	write(t, s, fill(0, 20, 30, 9*dayLength))
	if err := s.Trim(t.Context(), 5*dayLength); err != nil {
		t.Fatal(err)
	}
	if a := applied(t, s, 0); a.Floor != 9 {
		t.Errorf("the floor is %d, want 9", a.Floor)
	}
	if err := verify(s, 0, 10, 30); err != nil {
		t.Error(err)
	}
	if err := s.Trim(t.Context(), 6*dayLength); err != nil {
		t.Fatal(err)
	}
	if a := applied(t, s, 0); a.Floor != 19 {
		t.Errorf("the floor is %d, want 19", a.Floor)
	}
	if err := verify(s, 0, 20, 30); err != nil {
		t.Error(err)
	}

	// Opened again, the store does not know what was trimmed, and keeps what comes late
	// until it learns.
	write(t, s, fill(1, 0, 10, 2*dayLength))
	if err := s.Trim(t.Context(), 8*dayLength); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	s = reopen(t, dir)
	write(t, s, fill(1, 10, 20, 2*dayLength))
	if a := applied(t, s, 1); a.Floor != 9 {
		t.Errorf("the floor is %d, want 9", a.Floor)
	}
	if err := verify(s, 1, 10, 20); err != nil {
		t.Error(err)
	}
	if err := s.Trim(t.Context(), 8*dayLength); err != nil {
		t.Fatal(err)
	}
	if a := applied(t, s, 1); a.Floor != 19 {
		t.Errorf("the floor is %d, want 19", a.Floor)
	}
}

// TestRefused: a batch that breaks the contract is refused whole.
func TestRefused(t *testing.T) {
	s := reopen(t, t.TempDir())
	long := bytes.Repeat([]byte("x"), maxID+1)
	for name, spoil := range map[string]func(*history.Batch){
		"order":    func(b *history.Batch) { b.Entries[3].Offset = 1 },
		"position": func(b *history.Batch) { b.Applied.Offset = 5 },
		"user":     func(b *history.Batch) { b.Entries[9].User = long },
		"peer":     func(b *history.Batch) { b.Entries[9].Peers = [][]byte{long} },
		"erasure":  func(b *history.Batch) { b.Erasures = []history.Erasure{{User: userOf(0), Offset: 10}} },
		"erased":   func(b *history.Batch) { b.Erasures = []history.Erasure{{User: long, Offset: 9}} },
	} {
		b := fill(0, 0, 10, 1)
		spoil(b)
		if err := s.Write(t.Context(), b); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if a := applied(t, s, 0); a != nothing {
		t.Errorf("the store has come to %+v", a)
	}
	for _, q := range []*history.Query{{User: long}, {User: userOf(0), Peer: long}} {
		q.After, q.Before, q.Limit, q.Bytes = -1, 10, 10, 10
		if p, err := s.Read(t.Context(), q); err != nil || len(p.Entries) > 0 {
			t.Errorf("read for an id of %d bytes: %v", len(long), err)
		}
	}
}

// TestOneAfterTheOther: a Write that was given up is over before the next of its
// partition begins.
func TestOneAfterTheOther(t *testing.T) {
	s := reopen(t, t.TempDir())
	for i := range int64(200) {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		_ = s.Write(ctx, fill(0, 10*i, 10*i+10, 1))
		write(t, s, fill(0, 10*i, 10*i+10, 1))
		cancel()
	}
	if err := verify(s, 0, 0, 2000); err != nil {
		t.Error(err)
	}
}
