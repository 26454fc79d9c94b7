package kafkalog_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/kafkalog"
	"github.com/godwit-im/godwit/backplane/kafkatest"
)

// decision returns two records that belong together.
func decision(value string) []cluster.Record {
	return []cluster.Record{put("node/a", "%s", value), put("node/b", "%s", value)}
}

// Two controllers take the right from each other all the time. Every decision is there
// whole or not at all, each that Commit told of is there, nobody writes after the other
// has taken over, and all readers see the same.
func TestControllersCompete(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := config(t, b)
		_, seen := open(t, cfg)
		const turns = 10
		var mu sync.Mutex
		committed := make(map[string]bool)
		var controllers sync.WaitGroup
		for _, name := range []string{"one", "two"} {
			l, _ := open(t, cfg)
			controllers.Go(func() {
				for turn := range turns {
					s, err := l.Take(t.Context())
					if errors.Is(err, kafkalog.ErrFenced) {
						continue // between the taking and the first look
					}
					if err != nil {
						t.Error(err)
						return
					}
					for i := range 50 { // or until the other one takes over
						value := fmt.Sprintf("%s-%d-%d", name, turn, i)
						err := s.Commit(t.Context(), decision(value))
						told := err == nil // else it may be there or not, also when it is settled
						for err != nil && !errors.Is(err, kafkalog.ErrFenced) {
							err = s.Settle(t.Context())
						}
						if err != nil {
							break
						}
						if told {
							mu.Lock()
							committed[value] = true
							mu.Unlock()
						}
					}
					s.Close()
				}
			})
		}
		controllers.Wait()
		if t.Failed() {
			return
		}
		l, late := open(t, cfg)
		barrier(t, l)
		eventually(t, "the first reader has all", func() bool { return seen.get("node/a") == late.get("node/a") })
		ordered := values(t, seen)
		for _, value := range ordered {
			delete(committed, value)
		}
		if len(committed) > 0 {
			t.Errorf("committed and not there: %v", committed)
		}
		// Within a turn, decisions count up one by one from 0, except for one whose Commit
		// was told nothing; and turns do not mix.
		var turn string
		last := -1
		turnsSeen := make(map[string]bool)
		for _, value := range ordered {
			cut := strings.LastIndexByte(value, '-')
			number, err := strconv.Atoi(value[cut+1:])
			if err != nil {
				t.Fatal(err)
			}
			if value[:cut] != turn {
				if turn, last = value[:cut], -1; turnsSeen[turn] {
					t.Errorf("%s writes again after another took over", turn)
				}
				turnsSeen[turn] = true
			}
			if number <= last {
				t.Errorf("%s comes after %d", value, last)
			}
			last = number
		}
		t.Logf("%d decisions in %d turns", len(ordered), len(turnsSeen))
	})
}

// values returns the values of decisions in the order of the log. It fails the test
// unless each was handed out whole, in one call.
func values(t *testing.T, s *state) []string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, records := range s.calls {
		for len(records) > 0 {
			if len(records) < 2 || records[0].Key != "node/a" || records[1].Key != "node/b" || string(records[0].Value) != string(records[1].Value) {
				t.Fatalf("a decision is in parts: %v", records)
			}
			all = append(all, string(records[0].Value))
			records = records[2:]
		}
	}
	return all
}

// The largest decision that there can be is handed out in one call, to who follows and
// to who comes later.
func TestLargeDecision(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := config(t, b)
		l, seen := open(t, cfg)
		s := take(t, l)
		var records []cluster.Record
		for i := range 16_384 {
			records = append(records, put("partition/"+strconv.Itoa(i), "%0500d", i))
		}
		// On a slow machine the time for a commit may not be enough for so much.
		eventually(t, "it is committed", func() bool {
			err := s.Commit(t.Context(), records)
			if err != nil {
				s = take(t, l) // which settles it
			}
			return err == nil
		})
		barrier(t, l)
		_, late := open(t, cfg)
		for name, s := range map[string]*state{"who followed": seen, "who came late": late} {
			for _, call := range s.calls {
				if len(call)%len(records) != 0 {
					t.Errorf("%s got a call with %d records: not whole decisions", name, len(call))
				}
			}
			if len(s.calls) == 0 {
				t.Errorf("%s got nothing", name)
			}
		}
		for what, more := range map[string][]cluster.Record{
			"one more record":     append(records, put("partition/more", "")),
			"more bytes":          {put("a", "%065536d", 1), put("b", "%0200000d", 1)},
			"a key that is long":  {put(strings.Repeat("k", 200), "")},
			"a record without it": {put("", "1")},
		} {
			if err := s.Commit(t.Context(), more); err == nil {
				t.Errorf("%s: accepted", what)
			}
			if err := l.Append(t.Context(), more...); err == nil {
				t.Errorf("%s: appended", what)
			}
		}
		commit(t, s, put("partition/0", "again")) // those wrote nothing, so nothing is to be settled
	})
}

// How long it takes until a decision is seen elsewhere is reported, for whoever looks.
func TestPropagation(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := config(t, b)
		l, _ := open(t, cfg)
		_, elsewhere := open(t, cfg)
		s := take(t, l)
		var committing, seeing time.Duration
		const rounds = 20
		for i := range rounds {
			value := strconv.Itoa(i)
			begin := time.Now()
			commit(t, s, decision(value)...)
			done := time.Now()
			eventually(t, "it is seen", func() bool { return elsewhere.get("node/b") == value })
			committing += done.Sub(begin)
			seeing = max(seeing, time.Since(begin))
		}
		t.Logf("a decision takes %v to commit on average, and %v at most until it is seen elsewhere", committing/rounds, seeing)
	})
}
