package historian_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/history"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/server/config"
	"github.com/godwit-im/godwit/server/historian"
)

// TestHistory writes history into each kind of store.
func TestHistory(t *testing.T) {
	for _, store := range []string{config.HistoryPebble, config.HistoryCassandra} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			s := newStores(t, store)
			for _, test := range []struct {
				name string
				run  func(*testing.T, *bed)
			}{
				{"StoppedForAWhile", testStoppedForAWhile},
				{"WhileMessagesCome", testWhileMessagesCome},
				{"Killed", testKilled},
				{"ReplayedFromTheStart", testReplayedFromTheStart},
			} {
				t.Run(test.name, func(t *testing.T) { test.run(t, s.bed(t, kafkatest.Embedded(t, 8))) })
			}
			if store == config.HistoryCassandra {
				t.Run("GroupShares", func(t *testing.T) { testGroupShares(t, s) })
			}
		})
	}
}

// testStoppedForAWhile stops the historian while messages go on, and lets it catch up.
func testStoppedForAWhile(t *testing.T, b *bed) {
	for range 3 {
		b.send(400)
		b.write()
		b.send(400) // while nobody writes
	}
	b.write()
	s := b.open()
	defer b.close(s)
	b.check(s)
}

// testWhileMessagesCome has the historian follow a log that goes on.
func testWhileMessagesCome(t *testing.T, b *bed) {
	s := b.open()
	defer b.close(s)
	h, err := historian.Start(b.config(s))
	if err != nil {
		t.Fatal(err)
	}
	defer b.stop(h)
	for range 10 {
		b.send(100)
	}
	b.caughtUp(s)
	b.check(s)
	if err := errors.Join(h.Err(), h.Ready()); err != nil {
		t.Error(err)
	}
}

// testKilled kills the process that writes, as kill -9 does, in the middle of its work,
// again and again. Whoever writes next goes on, and nothing is missing or there twice.
func testKilled(t *testing.T, b *bed) {
	b.send(12_000)
	var end int64
	for _, e := range b.ends() {
		end += e
	}
	inTheMiddle := 0
	for reached := int64(0); reached < end && inTheMiddle < 4; {
		before := reached
		p := b.startChild()
		eventually(t, "the child has written more", func() bool {
			if p.Ended() {
				t.Fatalf("the child has ended: %s", p.Stderr.String())
			}
			return lastApplied(p.Stdout.String()) > before
		})
		p.Kill()
		s := b.open()
		reached = b.total(s)
		if reached < before {
			t.Errorf("the store went back from %d to %d", before, reached)
		}
		if reached < end {
			inTheMiddle++
		}
		b.close(s)
	}
	if inTheMiddle == 0 {
		t.Error("no child was killed before it had written everything")
	}
	b.send(100)
	b.write()
	s := b.open()
	defer b.close(s)
	b.check(s)
}

// lastApplied returns what a child told last.
func lastApplied(output string) (n int64) {
	output = strings.TrimSuffix(output[:strings.LastIndexByte(output, '\n')+1], "\n")
	_, _ = fmt.Sscanf(output[strings.LastIndexByte(output, '\n')+1:], "applied %d", &n) // 0 before the first
	return n
}

// testReplayedFromTheStart writes everything again into a store that has it, and into one
// that was emptied: the timelines are the same.
func testReplayedFromTheStart(t *testing.T, b *bed) {
	b.send(1500)
	b.write()
	s := b.open()
	defer b.close(s)
	b.check(s)
	if err := s.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	for u, lines := range b.timelines(s) {
		if len(lines) > 0 {
			t.Fatalf("%s has %d messages in an empty store", u, len(lines))
		}
	}
	var told []historian.Progress
	if err := historian.Rebuild(t.Context(), b.config(s), func(p historian.Progress) { told = append(told, p) }); err != nil {
		t.Fatal(err)
	}
	b.check(s)
	last := told[len(told)-1]
	if last.Total != b.total(s) || last.Applied != last.Total {
		t.Errorf("the progress ends with %+v, and the store has %d", last, b.total(s))
	}
	for i := range told[1:] {
		if told[i+1].Applied < told[i].Applied || told[i+1].Total != last.Total {
			t.Errorf("the progress goes from %+v to %+v", told[i], told[i+1])
		}
	}
	if err := historian.Rebuild(t.Context(), b.config(s), func(historian.Progress) {}); !errors.Is(err, historian.ErrNotEmpty) {
		t.Errorf("a store that is not empty: %v", err)
	}
}

// TestRebuildIsStopped stops a rebuild before it has begun in earnest. A Historian goes on.
func TestRebuildIsStopped(t *testing.T) {
	b := newStores(t, config.HistoryPebble).bed(t, kafkatest.Embedded(t, 8))
	b.send(3000)
	s := b.open()
	ctx, cancel := context.WithCancel(t.Context())
	err := historian.Rebuild(ctx, b.config(s), func(historian.Progress) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the rebuild ended with %v", err)
	}
	b.close(s)
	b.write()
	s = b.open()
	defer b.close(s)
	b.check(s)
}

// TestEmptyLog rebuilds the history of a log without records.
func TestEmptyLog(t *testing.T) {
	b := newStores(t, config.HistoryPebble).bed(t, kafkatest.Embedded(t, 3))
	s := b.open()
	defer b.close(s)
	var told historian.Progress
	if err := historian.Rebuild(t.Context(), b.config(s), func(p historian.Progress) { told = p }); err != nil || told.Total != 0 {
		t.Errorf("%+v, %v", told, err)
	}
}

// testGroupShares has two members of a group write, one of which leaves. The other one
// takes over what that had.
func testGroupShares(t *testing.T, s stores) {
	kafkatest.Each(t, func(t *testing.T, backend kafkatest.Backend) {
		b := s.bed(t, backend.Config(t, 8))
		group := historian.Group(b.kafka.Namespace, b.kafka.Generation)
		start := func() (*historian.Historian, history.Store) {
			s := b.open()
			c := b.config(s)
			c.Group = group
			h, err := historian.Start(c)
			if err != nil {
				t.Fatal(err)
			}
			return h, s
		}
		b.send(300)
		first, firstStore := start()
		second, secondStore := start()
		b.caughtUp(secondStore)
		b.send(300)
		b.stop(first)
		b.close(firstStore)
		b.send(300)
		b.caughtUp(secondStore)
		b.check(secondStore)

		// A store that somebody writes is not claimed.
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if release, err := historian.Claim(ctx, b.kafka, group); !errors.Is(err, historian.ErrNotAlone) {
			t.Errorf("claimed beside a writer: %v", err)
			if err == nil {
				release()
			}
		}
		b.stop(second)
		release, err := historian.Claim(t.Context(), b.kafka, group)
		if err != nil {
			t.Fatal(err)
		}
		release()
		b.close(secondStore)
	})
}

// TestAnotherKafka: a store is not written from, or read beside, another cluster whose
// topics have the same names.
func TestAnotherKafka(t *testing.T) {
	here, there := kafkatest.Embedded(t, 1), kafkatest.Real(t, 1)
	there.Namespace = here.Namespace
	for _, store := range []string{config.HistoryPebble, config.HistoryCassandra} {
		t.Run(store, func(t *testing.T) {
			b := newStores(t, store).bed(t, here)
			b.close(b.open())
			if s, err := historian.Open(t.Context(), b.settings, there, quiet); !errors.Is(err, history.ErrForeign) {
				t.Errorf("opened: %v, %v", s, err)
			}
			b.close(b.open())
		})
	}
}
