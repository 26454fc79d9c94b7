package historytest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/godwit-im/godwit/backplane/history"
)

func testEmpty(t *testing.T, r *rig) {
	for _, backward := range []bool{false, true} {
		for _, peer := range []string{"", "bob"} {
			q := r.all("alice")
			q.Backward, q.Peer = backward, []byte(peer)
			if p := r.read(t, q); len(p.Entries) != 0 || p.More {
				t.Errorf("an empty store has %d entries, more %v", len(p.Entries), p.More)
			}
		}
	}
	for p, a := range r.applied(t, 3) {
		if a != (history.Applied{Offset: -1, Floor: -1}) {
			t.Errorf("partition %d of an empty store has come to %+v", p, a)
		}
	}
}

// testDirections asks for every part of a timeline, in every direction and size.
func testDirections(t *testing.T, r *rig) {
	var ref reference
	for i := range int64(12) {
		user := "alice"
		if i%3 == 2 {
			user = "bob"
		}
		ref.entries = append(ref.entries, entry(user, 5*i, r.now-hour+i*second, "carol"))
	}
	r.write(t, r.batch(0, ref.entries[:7]))
	r.write(t, r.batch(0, ref.entries[7:]))
	for after := int64(-1); after < 60; after += 6 {
		for before := after + 1; before < 70; before += 9 {
			for _, limit := range []int{1, 2, 5, 100} {
				for _, backward := range []bool{false, true} {
					q := r.all("alice")
					q.After, q.Before, q.Limit, q.Backward = after, before, limit, backward
					ref.compare(t, &q, r.read(t, q))
				}
			}
		}
	}
	for _, backward := range []bool{false, true} {
		q := r.all("alice")
		q.Backward = backward
		ref.compare(t, &q, r.read(t, q))
	}
}

// testBytes: the entry that reaches the bytes that are enough is the last.
func testBytes(t *testing.T, r *rig) {
	var entries []history.Entry
	for i := range int64(4) {
		e := entry("alice", i, r.now)
		e.Value = bytes.Repeat([]byte{byte(i)}, 100)
		entries = append(entries, e)
	}
	r.write(t, r.batch(0, entries))
	for _, tt := range []struct {
		bytes, want int
		more        bool
	}{{1, 1, true}, {99, 1, true}, {100, 1, true}, {101, 2, true}, {301, 4, true}, {401, 4, false}} {
		q := r.all("alice")
		q.Bytes = tt.bytes
		p := r.read(t, q)
		if len(p.Entries) != tt.want || tt.want < 4 && !p.More || !tt.more && p.More {
			t.Errorf("%d bytes: %d entries, more %v", tt.bytes, len(p.Entries), p.More)
		}
	}
}

// testMemory: the store shares no memory with those who write and read.
func testMemory(t *testing.T, r *rig) {
	e := entry("alice", 1, r.now, "bob")
	want := bytes.Clone(e.Value)
	r.write(t, r.batch(0, []history.Entry{e}))
	clear(e.Value)
	clear(e.User)
	clear(e.Peers[0])
	for range 2 {
		p := r.read(t, r.all("alice"))
		if len(p.Entries) != 1 || !bytes.Equal(p.Entries[0].Value, want) {
			t.Fatal("the store was changed from outside")
		}
		clear(p.Entries[0].Value)
	}
}

func testPeers(t *testing.T, r *rig) {
	var ref reference
	peers := [][]string{{"bob"}, {"bob", "carol"}, {"carol"}, {"alice"}, {"bob", "bob", "bo"}, nil}
	for i := range int64(24) {
		ref.entries = append(ref.entries, entry("alice", i, r.now, peers[int(i)%len(peers)]...))
	}
	ref.entries = append(ref.entries, entry("bob", 30, r.now, "carol"))
	ref.entries[7].Expires = r.now - 1
	r.write(t, r.batch(0, ref.entries))
	for _, user := range []string{"alice", "bob"} {
		for _, peer := range []string{"alice", "bob", "bo", "carol", "nobody"} {
			for _, limit := range []int{2, 100} {
				for _, backward := range []bool{false, true} {
					q := r.all(user)
					q.Peer, q.Limit, q.Backward = []byte(peer), limit, backward
					ref.compare(t, &q, r.read(t, q))
					q.After, q.Before = 6, 19
					ref.compare(t, &q, r.read(t, q))
				}
			}
		}
	}
}

func testExpiry(t *testing.T, r *rig) {
	entries := []history.Entry{entry("alice", 1, r.now), entry("alice", 2, r.now), entry("alice", 3, r.now)}
	entries[1].Expires = r.now + hour
	r.write(t, r.batch(0, entries))
	q := r.all("alice")
	q.Now = r.now + hour - 1
	r.expect(t, q, 1, 2, 3)
	q.Now++
	r.expect(t, q, 1, 3)
	q.Limit, q.Backward = 2, true
	r.expect(t, q, 3, 1)
}

func testGenerations(t *testing.T, r *rig) {
	other := &rig{r.store, generations.Add(1), r.now}
	r.write(t, r.batch(0, []history.Entry{entry("alice", 1, r.now, "bob"), entry("alice", 5, r.now, "bob")}))
	other.write(t, other.batch(0, []history.Entry{entry("alice", 2, r.now, "bob")},
		history.Erasure{User: []byte("alice"), Offset: 3}))
	r.expect(t, r.all("alice"), 1, 5)
	r.expect(t, other.all("alice"), 1, 5) // read asks for r's generation
	other.expect(t, other.all("alice"))
	if a, b := r.applied(t, 1)[0].Offset, other.applied(t, 1)[0].Offset; a != 5 || b != 3 {
		t.Errorf("the generations have come to %d and %d, want 5 and 3", a, b)
	}
}

// testUsers: ids that begin with one another, or look like a store's own separators.
func testUsers(t *testing.T, r *rig) {
	long := string(bytes.Repeat([]byte("x"), 128))
	users := []string{"a", "ab", "abc", "a\x00", "a\x00b", "\x00", "\x00\x00", "a:b", "a'b", `a"b`, "a%", "a/b", "ü", "\U0010ffff",
		long, long[:127], " ", "\x01a", "\x03abc"}
	var ref reference
	for i, u := range users {
		for j, peer := range users {
			ref.entries = append(ref.entries, entry(u, int64(i*100+j), r.now, peer))
		}
	}
	r.write(t, r.batch(0, ref.entries))
	check := func() {
		t.Helper()
		for _, u := range users {
			q := r.all(u)
			ref.compare(t, &q, r.read(t, q))
			q.Backward, q.Limit = true, 3
			ref.compare(t, &q, r.read(t, q))
			q.Peer = []byte(users[len(u)%len(users)])
			ref.compare(t, &q, r.read(t, q))
		}
	}
	check()
	for _, u := range []string{"ab", "a\x00", "\x00"} {
		ref.erasures = append(ref.erasures, history.Erasure{User: []byte(u), Offset: 5000})
	}
	r.write(t, r.batch(0, nil, ref.erasures...))
	check()
}

// testDays reads over the days of a partition, on many of which a user has nothing.
func testDays(t *testing.T, r *rig) {
	var ref reference
	start := r.now - 20*dayLen
	for d := range int64(20) {
		for i := range int64(4) {
			if user := fmt.Sprint("user", i); i == 0 || d%(3*i) == 1 {
				ref.entries = append(ref.entries, entry(user, 10*d+i, start+d*dayLen+i, "peer"))
			}
		}
	}
	// Clocks that set log times may go back a little, over midnight, too.
	late := entry("user0", 500, r.now-r.now%dayLen+1, "peer")
	early := entry("user0", 501, r.now-r.now%dayLen-1, "peer")
	ref.entries = append(ref.entries, late, early)
	for piece := range slices.Chunk(ref.entries, 7) {
		r.write(t, r.batch(0, piece))
	}
	for i := range 4 {
		for _, peer := range []string{"", "peer"} {
			for _, limit := range []int{1, 3, 100} {
				for _, after := range []int64{-1, 55, 170} {
					for _, backward := range []bool{false, true} {
						q := r.all(fmt.Sprint("user", i))
						q.Limit, q.After, q.Backward, q.Peer = limit, after, backward, []byte(peer)
						ref.compare(t, &q, r.read(t, q))
						q.Before = 130
						ref.compare(t, &q, r.read(t, q))
					}
				}
			}
		}
	}
}

// testCancelled: a call whose context has ended returns an error, and does no harm.
func testCancelled(t *testing.T, r *rig) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	b := r.batch(0, []history.Entry{entry("alice", 1, r.now)})
	if err := r.store.Write(ctx, b); err == nil {
		t.Error("Write took a context that had ended")
	}
	q := r.all("alice")
	q.Generation = r.generation
	if _, err := r.store.Read(ctx, &q); err == nil {
		t.Error("Read took a context that had ended")
	}
	r.write(t, b)
	r.expect(t, r.all("alice"), 1)
}
