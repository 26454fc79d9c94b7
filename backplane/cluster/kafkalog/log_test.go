package kafkalog_test

import (
	"maps"
	"testing"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/kafkatest"
)

// What is written is read: by who is there, and by who comes later; the last record of
// a key counts, and deleted keys are gone.
func TestLogReadsWhatIsWritten(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := config(t, b)
		first, seen := open(t, cfg)
		appendAll(t, first, put("request/a", "1"), put("request/b", "2"))
		appendAll(t, first, put("request/a", "3"), cluster.Record{Key: "request/b"}, put("request/c", ""))
		barrier(t, first)
		want := map[string]string{"request/a": "3", "request/c": ""}
		if got := seen.all(); !maps.Equal(got, want) {
			t.Errorf("the first has %v, want %v", got, want)
		}
		_, late := open(t, cfg)
		if got := late.all(); !maps.Equal(got, want) {
			t.Errorf("the second has %v, want %v", got, want)
		}
		for i := 1; i < len(seen.offsets); i++ {
			if seen.offsets[i] <= seen.offsets[i-1] {
				t.Errorf("offset %d after %d", seen.offsets[i], seen.offsets[i-1])
			}
		}
	})
}

// A decision is seen whole, and only when it is committed.
func TestSessionCommits(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := config(t, b)
		l, seen := open(t, cfg)
		s := take(t, l)
		for i := range 5 {
			commit(t, s, put("node/a", "%d", i), put("node/b", "%d", i))
		}
		barrier(t, l)
		if seen.get("node/a") != "4" || seen.get("node/b") != "4" {
			t.Errorf("it has %v", seen.all())
		}
		other := take(t, l)
		fenced(t, s, put("node/a", "old"))
		commit(t, other, put("node/a", "new"))
		barrier(t, l)
		if seen.get("node/a") != "new" {
			t.Errorf("it has %v", seen.all())
		}
	})
}
