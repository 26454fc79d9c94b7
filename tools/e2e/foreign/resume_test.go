package foreign

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// page asks for a page of the history, with the names and values of members, and takes
// it.
func (d *device) page(members ...any) frame {
	d.t.Helper()
	id := fmt.Sprint("h", rand.Uint64())
	request := map[string]any{"id": id}
	for i := 0; i < len(members); i += 2 {
		request[members[i].(string)] = members[i+1]
	}
	d.do("history", request)
	page := d.take("page "+id, func(e *event) bool {
		return e.Event == "frame" && e.Frame.Type == "history_page" && e.Frame.ID == id
	}).Frame
	if page.Code != "" {
		d.t.Fatalf("history %v: refused with %s", request, page.Code)
	}
	if page.After == "" || page.Before == "" {
		d.t.Errorf("history %v: a page without cursors: %+v", request, page)
	}
	return page
}

// numbered takes the next deliveries and checks their numbers and ids.
func (d *device) numbered(seq uint64, ids ...string) (last frame) {
	d.t.Helper()
	for _, id := range ids {
		if last = d.frame("deliver"); last.ID != id || last.Seq != seq {
			d.t.Fatalf("number %d is %s, want %s with number %d", last.Seq, last.ID, id, seq)
		}
		seq++
	}
	return last
}

// TestResume cuts a device off and brings it back: it gets what it missed, and then
// what comes.
func TestResume(t *testing.T) {
	n := dev(t)
	each(t, func(t *testing.T, k kind) {
		alice, bob := "alice-"+k.String(), "bob-"+k.String()
		post := func(ids ...string) {
			t.Helper()
			for _, id := range ids {
				n.post(t, alice, bob, id, "body of "+id)
			}
		}
		d, w := n.join(t, k, bob, "phone")
		if w.Resumed {
			t.Error("a connection without a cursor is resumed")
		}
		post("a1", "a2")
		cursor := d.numbered(1, "a1", "a2").Cursor
		d.Kill()

		t.Log("it was away")
		post("b1", "b2", "b3")
		d, w = n.join(t, k, bob, "phone", parameter("cursor", cursor))
		if !w.Resumed || w.Cursor != cursor {
			t.Errorf("with %s, the welcome is %+v", cursor, w)
		}
		post("c1")
		cursor = d.numbered(1, "b1", "b2", "b3", "c1").Cursor
		d.Kill()

		t.Log("it has missed nothing")
		d, w = n.join(t, k, bob, "phone", parameter("cursor", cursor))
		if !w.Resumed || w.Cursor != cursor {
			t.Errorf("with %s, the welcome is %+v", cursor, w)
		}
		post("d1")
		d.numbered(1, "d1")
		d.quiet()

		t.Log("a new device begins with the newest messages, and what follows")
		laptop, w := n.join(t, k, bob, "laptop", parameter("start", "last:3"))
		if w.Resumed {
			t.Error("a connection without a cursor is resumed")
		}
		post("e1")
		laptop.numbered(1, "b3", "c1", "d1", "e1")
		laptop.quiet()

		t.Log("what is live only is not caught up")
		tablet := n.connect(t, k, bob, "tablet", parameter("start", "live"))
		post("f1")
		tablet.numbered(1, "f1")
		tablet.quiet()
	})
}

// TestHistory reads a timeline in all directions.
func TestHistory(t *testing.T) {
	n := dev(t)
	each(t, func(t *testing.T, k kind) {
		alice, bob, carol := "alice-"+k.String(), "bob-"+k.String(), "carol-"+k.String()
		d := n.connect(t, k, alice, "phone")
		var cursors []string
		follow := func() {
			t.Helper()
			cursors = append(cursors, d.frame("deliver").Cursor)
		}
		for i := range 5 {
			n.post(t, bob, alice, fmt.Sprint("m", len(cursors)), fmt.Sprint("from bob ", i))
			follow()
			d.stored(fmt.Sprint("m", len(cursors)), fmt.Sprint("to carol ", i), carol)
			follow()
		}
		d.do("send", map[string]any{"id": "signal", "to": []string{bob}, "body": "typing", "kind": "signal"})
		d.acked("signal", "stored", "")
		d.frame("deliver")
		d.do("send", map[string]any{"id": "short", "to": []string{bob}, "body": "short", "ttl_ms": 1})
		ack := d.acked("short", "stored", "") // whether it is delivered in that time is left open
		eventually(t, "the short message is over", func() bool { return time.Now().UnixMilli() > ack.Time+1 })

		is := func(page frame, from, to int, step int, moreBefore, moreAfter bool) {
			t.Helper()
			if page.MoreBefore != moreBefore || page.MoreAfter != moreAfter || page.Gone != "" {
				t.Errorf("the page is %+v", page)
			}
			at := from
			for _, m := range page.Messages {
				if want := fmt.Sprint("m", at); m.ID != want || m.Cursor != cursors[min(at, len(cursors)-1)] || m.Self != (at%2 == 1) || m.Text == nil || m.Seq != 0 {
					t.Errorf("in the place of %s there is %+v", want, m)
				}
				at += step
			}
			if at != to {
				t.Errorf("the page has %d messages and ends before m%d, want it to end before m%d", len(page.Messages), at, to)
			}
		}
		newest := d.page()
		is(newest, 0, 10, 1, false, false)
		newest = d.page("limit", 4)
		is(newest, 6, 10, 1, true, false)
		is(d.page("limit", 4, "before", newest.Before), 2, 6, 1, true, true)
		is(d.page("after", cursors[2], "limit", 3), 3, 6, 1, true, true)
		is(d.page("after", cursors[2], "before", cursors[6]), 3, 6, 1, true, false) // no more up to before
		is(d.page("around", cursors[5], "limit", 3), 4, 7, 1, true, true)
		is(d.page("peer", bob, "after", cursors[0], "limit", 2), 2, 6, 2, true, true)
		is(d.page("peer", carol, "before", cursors[8], "limit", 2), 5, 9, 2, true, true)
	})
}
