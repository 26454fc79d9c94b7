package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
	"github.com/godwit-im/godwit/server/auth"
)

// turnedAway connects with options that the node does not accept, as a program and as a page
// of a browser, and requires that it says why.
func turnedAway(t *testing.T, n *node, user string, o options, code backplane.Code) {
	t.Helper()
	_, err := dial(n.url, n.token(t, user), o)
	status := (*ws.StatusError)(nil)
	if !errors.As(err, &status) || status.Status != http.StatusBadRequest || !strings.HasPrefix(status.Body, string(code)+": ") {
		t.Errorf("%+v: %v, want status %d and %s", o, err, http.StatusBadRequest, code)
		if err == nil {
			t.FailNow()
		}
		if status != nil {
			t.Errorf("the answer is %q", status.Body)
		}
	}
	o.header = [][2]string{{"Origin", "https://chat.example"}}
	s, err := dial(n.url, n.token(t, user), o)
	if err != nil {
		t.Fatal(err)
	}
	d := newDevice(t, n, user, o, s)
	d.listen()
	if end := d.ended(); end != uint16(codec.CloseBadRequest) || d.lastError() != code {
		t.Errorf("%+v: told %q and close code %d, want %s and %d", o, d.lastError(), end, code, codec.CloseBadRequest)
	}
}

// TestCursorRefused connects with cursors that are none of the user's, and with others
// that are.
func TestCursorRefused(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := newLog(t, b, 8)
		n := serve(t, cfg, newKey(t, auth.HS256))
		alice := connect(t, n, "alice", options{device: "phone"})
		other := ""
		for i := 0; other == "" || backplane.PartitionOf(other, cfg.Partitions) == alice.timeline.partition; i++ {
			other = fmt.Sprint("other-", i)
		}
		stranger := connect(t, n, other, options{device: "phone"})
		alice.store("m1", "hello", other)
		alice.store("m2", "hello", other)
		last := alice.got(2)[1]
		stranger.got(2)
		at := func(generation uint32, offset int64) string {
			return string(codec.AppendCursor(nil, backplane.Position{Generation: generation, Partition: alice.timeline.partition, Offset: offset}))
		}
		for _, e := range []codec.Encoding{codec.JSON, codec.Proto} {
			for _, c := range []struct {
				cursor string
				code   backplane.Code
			}{
				{"garbage", codec.CodeBadCursor},
				{"!", codec.CodeBadCursor},
				{last.cursor + "A", codec.CodeBadCursor},
				{last.cursor[:len(last.cursor)-1], codec.CodeBadCursor},
				{strings.Repeat("A", 4000), codec.CodeBadCursor},
				{stranger.got(1)[0].cursor, codec.CodeBadCursor},
				{at(cfg.Generation+1, 0), codec.CodeUnknownCursor},
				{at(cfg.Generation, last.offset+1), codec.CodeUnknownCursor},
				{at(cfg.Generation, 1<<40), codec.CodeUnknownCursor},
			} {
				turnedAway(t, n, "alice", options{device: "tablet", encoding: e, cursor: c.cursor}, c.code)
				turnedAway(t, n, "alice", options{device: "tablet", encoding: e, cursor: c.cursor, start: "last:5", overflow: codec.OverflowGap}, c.code)
			}
			for _, start := range []string{"last:0", "last:1001", "last", "beginning"} {
				turnedAway(t, n, "alice", options{device: "tablet", encoding: e, start: start}, codec.CodeBadParameter)
			}
			// A page asks with the same cursors.
			for id, c := range map[string]struct {
				ask  codec.History
				code backplane.Code
			}{
				"of another user":         {codec.History{After: []byte(stranger.got(1)[0].cursor)}, codec.CodeBadCursor},
				"of another generation":   {codec.History{Before: []byte(at(cfg.Generation+1, 0))}, codec.CodeUnknownCursor},
				"between, one not hers":   {codec.History{After: []byte(last.cursor), Before: []byte(stranger.got(1)[0].cursor)}, codec.CodeBadCursor},
				"around, not hers":        {codec.History{Around: []byte(stranger.got(1)[0].cursor)}, codec.CodeBadCursor},
				"garbage":                 {codec.History{After: []byte("garbage")}, codec.CodeBadCursor},
				"around stands not alone": {codec.History{Around: []byte(last.cursor), After: []byte(last.cursor)}, codec.CodeBadCursor},
			} {
				d := connect(t, n, "alice", options{device: "tablet", encoding: e})
				if p := d.page(id, c.ask); p.Code != c.code || len(p.messages) > 0 {
					t.Errorf("a page by a cursor %s: %q and %d messages, want %s", id, p.Code, len(p.messages), c.code)
				}
				d.hangup()
			}
			// What was not refused: before all, and the very end, beside which start counts for nothing.
			for offset, want := range map[int64]int{-1: 2, last.offset - 1: 1, last.offset: 0} {
				d := connect(t, n, "alice", options{device: "tablet", encoding: e, cursor: at(cfg.Generation, offset), start: "last:1"})
				if !d.welcome.Resumed || d.firstOffset() != offset {
					t.Errorf("resumed is %v, at offset %d, want %d", d.welcome.Resumed, d.firstOffset(), offset)
				}
				d.got(want)
				d.ping()
				if got := d.count(); got != want {
					t.Errorf("%d messages after offset %d, want %d", got, offset, want)
				}
				d.hangup()
			}
		}
		if got := n.metrics(t).of(t, label("godwit_refusals_total", "reason", "cursor")); got != 2*2*2*9 {
			t.Errorf("%v connections were counted as refused for their cursor, want %d", got, 2*2*2*9)
		}
	})
}
