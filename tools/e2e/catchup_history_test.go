package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/auth"
)

// page asks for a part of the history and waits for the answer.
func (d *device) page(id string, ask codec.History) page {
	d.t.Helper()
	ask.ID = []byte(id)
	d.mu.Lock()
	delete(d.pages, id)
	d.mu.Unlock()
	if err := d.write(encode(d.encoding, &codec.ClientFrame{Type: codec.FrameHistory, History: ask})); err != nil {
		d.t.Fatalf("%s: %v", d.timeline.name, err)
	}
	var got page
	d.until("page "+id, func() (ok bool) {
		got, ok = d.pages[id]
		return ok
	})
	return got
}

// read is page for a node that has what is asked for, though it may not have it yet.
func (d *device) read(id string, ask codec.History) page {
	d.t.Helper()
	var p page
	eventually(d.t, d.timeline.name+" can read "+id, func() bool {
		p = d.page(id, ask)
		if p.Code != "" && !codec.Retryable(p.Code) {
			d.t.Fatalf("%s: page %s was refused: %s", d.timeline.name, id, p.Code)
		}
		return p.Code == ""
	})
	return p
}

// backward reads a whole timeline page by page, beginning with the newest.
func (d *device) backward(peer string, limit int) (all []delivery) {
	d.t.Helper()
	ask := codec.History{Limit: limit, Peer: []byte(peer)}
	for more, i := true, 0; more; i++ {
		p := d.read(fmt.Sprint("b", i), ask)
		if len(p.messages) > limit || i == 0 && p.MoreAfter {
			d.timeline.wrong("a page of %d messages, more after it: %v", len(p.messages), p.MoreAfter)
		}
		all = append(slices.Clone(p.messages), all...)
		ask.Before, more = []byte(p.before), p.MoreBefore
	}
	return all
}

// forward is backward from the other end.
func (d *device) forward(peer string, limit int) (all []delivery) {
	d.t.Helper()
	first := codec.AppendCursor(nil, backplane.Position{Generation: d.timeline.generation, Partition: d.timeline.partition, Offset: -1})
	ask := codec.History{After: first, Limit: limit, Peer: []byte(peer)}
	for more, i := true, 0; more; i++ {
		p := d.read(fmt.Sprint("f", i), ask)
		if len(p.messages) > limit || i == 0 && p.MoreBefore || len(p.messages) == 0 && p.after == string(ask.After) && p.MoreAfter {
			d.timeline.wrong("a page of %d messages, more before it: %v, after it: %v", len(p.messages), p.MoreBefore, p.MoreAfter)
		}
		all = append(all, p.messages...)
		ask.After, more = []byte(p.after), p.MoreAfter
	}
	return all
}

// bodiesOf returns what the messages say.
func bodiesOf(messages []delivery) []string {
	bodies := []string{}
	for _, m := range messages {
		body, _, _ := strings.Cut(m.body, " ")
		bodies = append(bodies, body)
	}
	return bodies
}

// talk is what alice, bob and carol say to each other, and what is in alice's timeline and
// in her conversations.
type talk struct {
	all, withBob, withCarol []string
}

// haveTalk has them talk, in messages of so many bytes, while signals pass between them.
func haveTalk(t *testing.T, n *node, count, size int) (w talk) {
	t.Helper()
	people := make(map[string]*device)
	for i, user := range []string{"alice", "bob", "carol"} {
		people[user] = connect(t, n, user, options{device: "talk", encoding: codec.Encoding(i % codec.Encodings)})
	}
	padding := strings.Repeat(" ", size)
	for i := range count {
		body := fmt.Sprint(i)
		said := func(from string, to ...string) { people[from].store("m"+body, body+padding, to...) }
		bob, carol := true, true
		switch i % 5 {
		case 0:
			said("alice", "bob")
			carol = false
		case 1:
			said("carol", "alice")
			bob = false
		case 2:
			said("bob", "alice", "carol") // nothing of alice's with carol
			carol = false
		case 3:
			said("alice", "carol", "bob")
		case 4:
			said("bob", "carol") // nothing of alice's
			continue
		}
		people["bob"].signal("s"+body, "typing", "alice", "carol")
		w.all = append(w.all, body)
		if bob {
			w.withBob = append(w.withBob, body)
		}
		if carol {
			w.withCarol = append(w.withCarol, body)
		}
	}
	for _, d := range people {
		d.ping()
		d.hangup()
	}
	return w
}

// signal sends news of the moment and waits until the log has it.
func (d *device) signal(id, body string, to ...string) {
	d.t.Helper()
	f := sendFrame(id, body, to...)
	f.Send.Kind = backplane.KindSignal
	d.storeFrame(f)
}

// TestHistoryPages reads alice's timeline and her conversations by pages, in both
// directions, around a message and between two, out of the tail alone, and out of history
// when the tail has room for little. Nobody else gets to see it.
func TestHistoryPages(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		t.Run("tail", func(t *testing.T) {
			cfg := newLog(t, b, 4)
			n := serve(t, cfg, newKey(t, auth.HS256), noRate...)
			historyPages(t, cfg, n, haveTalk(t, n, 100, 10))
		})
		t.Run("history", func(t *testing.T) {
			cfg := newLog(t, b, 4)
			n := serve(t, cfg, newKey(t, auth.HS256), append(slices.Clip(narrow), pebble(t)...)...)
			w := haveTalk(t, n, 100, 3000)
			historyPages(t, cfg, n, w) // while history may lag
			n.historied(t, cfg)
			historyPages(t, cfg, n, w)
			happened(t, n.metrics(t), "godwit_timeline_store_reads_total")
		})
	})
}

func historyPages(t *testing.T, cfg kafka.Config, n *node, w talk) {
	t.Helper()
	for _, e := range []codec.Encoding{codec.JSON, codec.Proto} {
		alice := connect(t, n, "alice", options{device: "tablet", encoding: e})
		for peer, want := range map[string][]string{"": w.all, "bob": w.withBob, "carol": w.withCarol, "nobody": {}} {
			for _, limit := range []int{9, codec.MaxPage} {
				if got := bodiesOf(alice.backward(peer, limit)); !slices.Equal(got, want) {
					t.Errorf("backward with %q by %d:\n%v, want\n%v", peer, limit, got, want)
				}
				if got := bodiesOf(alice.forward(peer, limit)); !slices.Equal(got, want) {
					t.Errorf("forward with %q by %d:\n%v, want\n%v", peer, limit, got, want)
				}
			}
		}
		all := alice.backward("", 50)
		from, middle, to := all[10], all[40], all[60]
		if p := alice.read("between", codec.History{After: []byte(from.cursor), Before: []byte(to.cursor), Limit: 100}); p.MoreAfter == (len(p.messages) == 49) ||
			!slices.Equal(bodiesOf(p.messages), w.all[11:11+len(p.messages)]) || len(p.messages) == 0 {
			t.Errorf("between: %v, more: %v", bodiesOf(p.messages), p.MoreAfter)
		}
		p := alice.read("around", codec.History{Around: []byte(middle.cursor), Limit: 9})
		if at := slices.Index(bodiesOf(p.messages), w.all[40]); at != 4 || !p.MoreAfter || !p.MoreBefore ||
			!slices.Equal(bodiesOf(p.messages), w.all[36:36+len(p.messages)]) {
			t.Errorf("around: %v, with itself as number %d", bodiesOf(p.messages), at)
		}
		alice.hangup()

		// There is no way to ask for what is another user's: with alice's cursors, a user of
		// the same partition is shown its own timeline.
		neighbour := ""
		for i := 0; neighbour == ""; i++ {
			if u := fmt.Sprint("neighbour-", i); backplane.PartitionOf(u, cfg.Partitions) == alice.timeline.partition {
				neighbour = u
			}
		}
		spy := connect(t, n, neighbour, options{device: "phone", encoding: e})
		for peer := range map[string]bool{"": true, "alice": true, "bob": true} {
			for id, ask := range map[string]codec.History{
				"newest": {}, "after": {After: []byte(from.cursor)}, "before": {Before: []byte(to.cursor)}, "around": {Around: []byte(middle.cursor)},
			} {
				ask.Peer = []byte(peer)
				if p := spy.read(id, ask); len(p.messages) > 0 {
					t.Errorf("%s sees %v of alice's", neighbour, bodiesOf(p.messages))
				}
			}
		}
		spy.hangup()
		resumed := connect(t, n, neighbour, options{device: "phone", encoding: e, cursor: from.cursor})
		resumed.ping()
		if got := resumed.count(); got != 0 {
			t.Errorf("%s got %d messages with a cursor of alice's", neighbour, got)
		}
		resumed.hangup()
	}
}

// TestStartLast begins with the newest messages, and goes on with what is sent.
func TestStartLast(t *testing.T) {
	for name, test := range map[string]struct {
		flags []string
		exact bool
	}{
		"tail":    {noRate, true},
		"history": {append(slices.Clip(narrow), pebble(t)...), false},
	} {
		t.Run(name, func(t *testing.T) {
			n := serve(t, kafkatest.Embedded(t, 4), newKey(t, auth.HS256), test.flags...)
			w := haveTalk(t, n, 100, 3000)
			for i, last := range []int{1, 5, 30, len(w.all), codec.MaxStart} {
				d := connect(t, n, "alice", options{device: fmt.Sprint("d", i), encoding: codec.Encoding(i % codec.Encodings), start: fmt.Sprint("last:", last)})
				if d.welcome.Resumed {
					t.Error("resumed without a cursor")
				}
				least := min(last, len(w.all))
				d.got(least)
				d.store(fmt.Sprint("own", i), fmt.Sprint("own", i), "bob")
				w.all = append(w.all, fmt.Sprint("own", i))
				d.until("its own message", func() bool { return string(d.deliveries[len(d.deliveries)-1].Message.ID) == fmt.Sprint("own", i) })
				got := d.got(least + 1)
				got[len(got)-1].body = fmt.Sprint("own", i) // the session that sent it may get it without
				if bodies := bodiesOf(got); !slices.Equal(bodies, w.all[len(w.all)-len(bodies):]) {
					t.Errorf("the last %d are %v", last, bodies)
				}
				if test.exact && len(got) != least+1 {
					t.Errorf("%d messages for the last %d and one more", len(got), last)
				}
				d.hangup()
			}
		})
	}
}

// TestHidden: signals never come back, and messages do not when their time to live is over;
// neither by a cursor, nor with the last ones, nor in history.
func TestHidden(t *testing.T) {
	const ttl = 500 // milliseconds
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		for name, flags := range map[string][]string{
			"tail": noRate, "log": append(slices.Clip(narrow), "--limits-tail-bytes", "0"), "history": append(slices.Clip(narrow), pebble(t)...),
		} {
			t.Run(name, func(t *testing.T) {
				cfg := newLog(t, b, 4)
				n := serve(t, cfg, newKey(t, auth.HS256), flags...)
				w := newWorld(t, n)
				away := w.arrive("bob", options{device: "away"})
				live := connect(t, n, "bob", options{device: "live", encoding: codec.Proto})
				alice := connect(t, n, "alice", options{device: "phone"})
				padding := strings.Repeat(" ", 2000)
				var stays []string
				const rounds = 30
				for i := range rounds {
					stays = append(stays, fmt.Sprint("stays", i), fmt.Sprint("long", i))
					alice.store(fmt.Sprint("stays", i), fmt.Sprint("stays", i, padding), "bob")
					alice.signal(fmt.Sprint("typing", i), "typing"+padding, "bob")
					alice.lasting(fmt.Sprint("long", i), fmt.Sprint("long", i, padding), backplane.MaxTTL, "bob")
					alice.lasting(fmt.Sprint("short", i), "short"+padding, ttl, "bob")
				}
				stored := time.Now().UnixMilli() // the log has given no later time
				live.got(2 * rounds)
				live.ping()
				var signals int
				for _, got := range live.got(0) {
					if got.Message.Kind == backplane.KindSignal {
						signals++
					}
					if name, _, _ := strings.Cut(got.body, " "); name == "short" && got.Message.TTL != ttl || strings.HasPrefix(name, "long") && got.Message.TTL != backplane.MaxTTL {
						t.Errorf("%q came with a time to live of %d", name, got.Message.TTL)
					}
				}
				if signals == 0 && name == "tail" { // else there may have been no room
					t.Error("who was there got no signal")
				}
				eventually(t, "the time of the short ones is over", func() bool { return time.Now().UnixMilli() > stored+ttl })

				if name == "history" {
					n.historied(t, cfg)
				}
				d := away.visit()
				got := d.got(len(stays))
				d.ping()
				if bodies := bodiesOf(d.got(len(stays))); !slices.Equal(bodies, stays) {
					t.Errorf("who was away got\n%v, want\n%v", bodies, stays)
				}
				if got[1].Message.TTL != backplane.MaxTTL {
					t.Errorf("caught up with a time to live of %d", got[1].Message.TTL)
				}
				if name != "log" { // which has no history to read
					if bodies := bodiesOf(d.backward("", 20)); !slices.Equal(bodies, stays) {
						t.Errorf("the history has\n%v, want\n%v", bodies, stays)
					}
					last := connect(t, n, "bob", options{device: "last", start: "last:1000"})
					last.got(len(stays))
					last.ping()
					if bodies := bodiesOf(last.got(0)); !slices.Equal(bodies, stays) {
						t.Errorf("the last ones are\n%v, want\n%v", bodies, stays)
					}
				}
				away.leave(d)
			})
		}
	})
}

// lasting stores a message with a time to live.
func (d *device) lasting(id, body string, ttl int64, to ...string) {
	d.t.Helper()
	f := sendFrame(id, body, to...)
	f.Send.TTL = ttl
	d.storeFrame(f)
}

// storeFrame sends a message and waits until it is stored.
func (d *device) storeFrame(f *codec.ClientFrame) {
	d.t.Helper()
	id := string(f.Send.ID)
	if err := d.write(encode(d.encoding, f)); err != nil {
		d.t.Fatalf("%s: sending %s: %v", d.timeline.name, id, err)
	}
	if a := d.ack(id, 0); a.Status != backplane.Stored {
		d.t.Fatalf("%s: %s was answered %d %q", d.timeline.name, id, a.Status, a.Code)
	}
}
