package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
)

// world is a node that may be killed and started anew, and what is stored by it, which is
// the clock of those who come and go: they wait for messages, not for seconds, so that a
// busy machine changes nothing about what they meet.
type world struct {
	t    testing.TB
	node atomic.Pointer[node]

	mu     sync.Mutex
	passed sync.Cond
	stored int  // messages that were acknowledged, each once
	over   bool // nothing more is sent
}

func newWorld(t testing.TB, n *node) *world {
	w := &world{t: t}
	w.node.Store(n)
	w.passed.L = &w.mu
	return w
}

// now returns how many messages have been stored.
func (w *world) now() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stored
}

// until waits until so many messages have been stored, or nothing more is sent. It reports
// whether more is sent.
func (w *world) until(stored int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.stored < stored && !w.over {
		w.passed.Wait()
	}
	return !w.over
}

func (w *world) advance(stored int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stored += stored
	w.passed.Broadcast()
}

// end tells everybody that nothing more is sent.
func (w *world) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	w.passed.Broadcast()
}

// connect connects a device to the node as soon as there is one that lets it in.
func (w *world) connect(user string, o options) *device {
	var d *device
	eventually(w.t, user+"/"+o.device+" is connected", func() bool {
		n := w.node.Load()
		var err error
		d, err = tryConnect(w.t, n, n.url, user, n.token(w.t, user), o)
		if status := (*ws.StatusError)(nil); errors.As(err, &status) && status.Status != http.StatusServiceUnavailable {
			w.t.Fatalf("%s/%s: %v", user, o.device, err)
		}
		return err == nil
	})
	w.t.Cleanup(w.end) // before the device's own, which waits for who waits in its gate
	return d
}

// author sends messages as one user until all are stored, over as many connections as
// that takes: what was not acknowledged on one is sent again on the next.
func (w *world) author(user string, count, window int, message func(i int) (body string, to []string)) {
	stored := make([]bool, count+1)
	for left := count; left > 0; {
		d := w.connect(user, options{device: "author", encoding: codec.Encoding(count % codec.Encodings)})
		sent := 0
		ready := func(most int) bool {
			end := false
			eventually(w.t, user+" may go on", func() bool {
				d.mu.Lock()
				defer d.mu.Unlock()
				d.deliveries = d.deliveries[:0] // not looked at
				end = d.end != nil
				return end || sent-d.answers < most
			})
			return !end
		}
		fresh := 0 // of this connection, not told to the world yet
		for i := 1; i <= count && ready(window); i++ {
			if stored[i] {
				continue
			}
			body, to := message(i)
			if d.write(encode(d.encoding, sendFrame(fmt.Sprint("m", i), body, to...))) != nil {
				break
			}
			sent++
			if fresh++; fresh == window {
				w.advance(d.takeStored(stored))
				fresh = 0
			}
		}
		ready(1)
		d.hangup()
		w.advance(d.takeStored(stored))
		left = 0
		for _, ok := range stored[1:] {
			if !ok {
				left++
			}
		}
	}
}

// takeStored marks the messages of which d has been told that they are stored, and returns
// of how many that was news.
func (d *device) takeStored(stored []bool) (news int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, acks := range d.acks {
		var i int
		fmt.Sscanf(id, "m%d", &i)
		if !stored[i] && slices.ContainsFunc(acks, func(a codec.Ack) bool { return a.Status == backplane.Stored }) {
			stored[i] = true
			news++
		}
	}
	clear(d.acks)
	return news
}

// traveller is a device that comes and goes. It keeps the cursor of what it has got last,
// and goes on from there.
type traveller struct {
	*world
	user    string
	options options
	start   int64    // the offset after which it began
	got     []moment // over all its connections
	trips   int
}

// moment is a message at its place in a timeline.
type moment struct {
	offset  int64
	message backplane.MessageID
}

// arrive makes a traveller out of a device that begins with what is sent from now on.
func (w *world) arrive(user string, o options) *traveller {
	p := &traveller{world: w, user: user, options: o}
	d := p.visit()
	p.start = d.firstOffset()
	p.leave(d)
	return p
}

// visit connects.
func (p *traveller) visit() *device {
	d := p.connect(p.user, p.options)
	if p.options.cursor != "" && (!d.welcome.Resumed || string(d.welcome.Cursor) != p.options.cursor) {
		d.timeline.wrong("resumed is %v, and the connection begins at %s, want %s", d.welcome.Resumed, d.welcome.Cursor, p.options.cursor)
	}
	p.trips++
	return d
}

// leave ends a visit, and keeps what it has brought.
func (p *traveller) leave(d *device) {
	d.hangup()
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.deliveries {
		p.got = append(p.got, moment{d.deliveries[i].offset, d.deliveries[i].Message.MessageID})
	}
	if len(d.gaps) > 0 {
		d.timeline.wrong("was told of %d gaps", len(d.gaps))
	}
	p.options.cursor = d.cursor
	d.deliveries, d.timeline.seen = nil, nil // the device is kept until the test ends
}

// catchUp stays until the traveller has as much as want, however often that takes it to
// connect, and requires that it is want.
func (p *traveller) catchUp(want []moment) {
	p.t.Helper()
	p.options.gate = nil
	for done := false; !done; {
		d := p.visit()
		eventually(p.t, fmt.Sprintf("%s has %d messages", d.timeline.name, len(want)), func() bool {
			d.mu.Lock()
			defer d.mu.Unlock()
			done = len(p.got)+len(d.deliveries) >= len(want)
			return done || d.end != nil
		})
		if done {
			d.ping() // and no more comes
		}
		p.leave(d)
	}
	if slices.Equal(p.got, want) {
		return
	}
	at := 0
	for at < len(p.got) && at < len(want) && p.got[at] == want[at] {
		at++
	}
	p.t.Errorf("%s/%s got %d messages on %d connections, want %d; the first to differ is number %d:\ngot  %+v\nwant %+v",
		p.user, p.options.device, len(p.got), p.trips, len(want), at, p.got[at:min(at+3, len(p.got))], want[at:min(at+3, len(want))])
}

// timelines returns what each user is to get of a log: the messages that concern it, in the
// order of its partition, without duplicates.
func timelines(log []record) map[string][]moment {
	dedupe := make(map[backplane.Partition]*backplane.Dedupe)
	users := make(map[string][]moment)
	for _, r := range log {
		if dedupe[r.Partition] == nil {
			dedupe[r.Partition] = backplane.NewDedupe()
		}
		if dedupe[r.Partition].Seen(r.message, r.time) || r.kind != backplane.KindMessage {
			continue
		}
		for _, u := range r.recipients {
			users[u] = append(users[u], moment{r.Offset, r.message})
		}
	}
	return users
}

// expected returns what each traveller is to have got, and checks that the log has what
// was acknowledged.
func (w *world) expected(cfg kafka.Config, travellers []*traveller) [][]moment {
	w.t.Helper()
	log := readLog(w.t, cfg)
	messages := make(map[backplane.MessageID]bool)
	for _, r := range log {
		messages[r.message] = true
	}
	if len(messages) != w.now() {
		w.t.Errorf("the log has %d messages, %d were acknowledged", len(messages), w.now())
	}
	users := timelines(log)
	want := make([][]moment, len(travellers))
	for i, p := range travellers {
		all := users[p.user]
		first, _ := slices.BinarySearchFunc(all, p.start, func(m moment, start int64) int { return int(m.offset - start - 1) })
		want[i] = all[first:]
		if len(want[i]) == 0 {
			w.t.Fatalf("there is nothing for %s", p.user)
		}
	}
	return want
}
