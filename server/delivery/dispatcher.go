package delivery

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/registry"
	"github.com/godwit-im/godwit/server/tail"
)

// Counters count what became of the records of one dispatch worker:
// Records = Dispatched + Nobody + Duplicates + Hidden + Bad. Targets counts pairs of
// record and connection; the sessions count what became of each.
type Counters struct {
	Records    atomic.Uint64
	Dispatched atomic.Uint64
	Nobody     atomic.Uint64 // no user of the record has a connection here
	Duplicates atomic.Uint64 // a retry whose first copy is in the log
	Hidden     atomic.Uint64 // not to be shown: its time to live is over, or it is no message, such as an erasure
	Bad        atomic.Uint64 // not one of godwit's records
	Forgotten  atomic.Uint64 // message ids that were forgotten before their time
	Targets    atomic.Uint64
}

// Dispatcher is the backplane.Handler of one dispatch worker.
type Dispatcher struct {
	// Static after construction.
	loops    Loops
	registry *registry.Registry
	memory   *Memory
	tails    *tail.Tails
	tail     *tail.Worker
	remember int
	log      *slog.Logger
	Counters Counters

	// Owned by the worker.
	windows map[backplane.Partition]*window
	ids     int       // remembered, in all windows
	moved   []*window // the windows with records since the last Tick
	message backplane.Message
	scratch []byte
	handles []registry.Handle // of all users of the record at hand
	users   []here
	perLoop []*Targets // by loop; nil where the record has no target
	touched []int      // the loops where it has
}

// window is what a worker knows of a partition.
type window struct {
	seen     *backplane.Dedupe
	position backplane.Position
	moved    bool
}

// here is a user of the record at hand, and the user's connections on this node:
// handles[from:to].
type here struct {
	user     []byte
	from, to int
}

// Config is what a Dispatcher works with.
type Config struct {
	Loops    Loops
	Registry *registry.Registry
	Memory   *Memory
	// Tails take what the partitions bring, before anybody is told of it.
	Tails *tail.Tails
	// Worker is the number of the worker.
	Worker int
	// Remember is how many recent message ids the worker keeps, for all of its
	// partitions together.
	Remember int
	Log      *slog.Logger
}

// New returns the dispatcher of one worker.
func New(c Config) *Dispatcher {
	return &Dispatcher{
		loops: c.Loops, registry: c.Registry, memory: c.Memory, tails: c.Tails, tail: c.Tails.Worker(c.Worker),
		remember: c.Remember, log: c.Log,
		windows: make(map[backplane.Partition]*window),
		perLoop: make([]*Targets, registry.MaxLoops),
	}
}

// Begin makes a new window for a partition, because one that was read before
// remembers what lies ahead now; see backplane.Handler. If reading does not go on where
// it was, connections that were there have to be told.
func (d *Dispatcher) Begin(p backplane.Partition, offset, since int64) {
	d.forget(p)
	was := d.tails.End(p)
	d.tail.Begin(p, offset, since)
	if was.Offset >= 0 && offset != was.Offset+1 {
		d.tell([]backplane.Position{d.tails.End(p)}, true)
	}
}

// End forgets a partition; see backplane.Handler. What Tick has to tell of it
// remains true.
func (d *Dispatcher) End(p backplane.Partition) {
	d.forget(p)
	d.tails.Drop(p)
}

func (d *Dispatcher) forget(p backplane.Partition) {
	if w := d.windows[p]; w != nil {
		d.ids -= w.seen.Len()
		delete(d.windows, p)
	}
}

// Record takes one record to the loops; see backplane.Handler.
func (d *Dispatcher) Record(r *backplane.Record) {
	d.Counters.Records.Add(1)
	w := d.windows[r.Partition]
	if w == nil {
		w = &window{seen: backplane.NewDedupe()}
		d.windows[r.Partition] = w
	}
	w.position = r.Position
	if !w.moved {
		w.moved = true
		d.moved = append(d.moved, w)
	}
	id, err := backplane.ParseMessageID(r.Value)
	if err != nil {
		d.bad(r, err)
		return
	}
	if d.seen(w, id, r.Time) {
		d.tail.Pass(r)
		d.Counters.Duplicates.Add(1)
		return
	}
	m := &d.message
	if err := backplane.ParseMessage(r.Value, m); err != nil {
		d.bad(r, err)
		return
	}
	if !d.list(r.Recipients) {
		d.bad(r, errBadRecipients)
		return
	}
	// Into the tail before the registry is asked: see tail.Tails.End.
	switch {
	case m.Kind == backplane.KindErase:
		d.tail.Erase(r, m)
		d.Counters.Hidden.Add(1)
		return
	case m.TTL > 0 && m.Expired(r.Time, time.Now().UnixMilli()):
		d.tail.Pass(r)
		d.Counters.Hidden.Add(1)
		return
	case m.Kind == backplane.KindMessage:
		d.tail.Append(r, m)
	case m.Kind == backplane.KindSignal:
		d.tail.Pass(r)
	default: // of a later version
		d.tail.Pass(r)
		d.Counters.Hidden.Add(1)
		return
	}
	d.find()
	if len(d.handles) == 0 {
		d.Counters.Nobody.Add(1)
		return
	}
	var f *Frame
	f, d.scratch = shared(d.memory, d.scratch, r, &d.message, d.target(r))
	size := f.size()
	f.Retain(len(d.touched) - 1)
	d.Counters.Dispatched.Add(1)
	d.Counters.Targets.Add(uint64(len(d.handles)))
	for _, loop := range d.touched {
		t := d.perLoop[loop]
		d.perLoop[loop] = nil
		d.loops.Deliver(loop, Entry{Frame: f, Targets: t}, size+int64(len(t.Handles))*handleSize)
	}
}

var errBadRecipients = errors.New("the recipients are not a list of users")

// What handles and positions add to the weight of an entry, in bytes.
const (
	handleSize   = int64(unsafe.Sizeof(registry.Handle(0)))
	positionSize = int64(unsafe.Sizeof(backplane.Position{}))
)

// bad counts a record that is none of ours. Somebody else writes to the topic;
// the partition goes on.
func (d *Dispatcher) bad(r *backplane.Record, err error) {
	d.tail.Pass(r)
	d.Counters.Bad.Add(1)
	d.log.Warn("skipped a record that is not a message", "partition", r.Partition, "offset", r.Offset, "err", err)
}

// seen applies the duplicate rule. When the worker remembers too many ids, those that
// were seen longest ago in the fullest partition are forgotten, a few at a time.
func (d *Dispatcher) seen(w *window, id backplane.MessageID, time int64) bool {
	before := w.seen.Len()
	duplicate := w.seen.Seen(id, time)
	d.ids += w.seen.Len() - before
	if d.ids > d.remember {
		fullest := w
		for _, other := range d.windows {
			if other.seen.Len() > fullest.seen.Len() {
				fullest = other
			}
		}
		n := fullest.seen.Forget(1 + d.remember/64)
		d.ids -= n
		d.Counters.Forgotten.Add(uint64(n))
	}
	return duplicate
}

// list takes the users out of a list of recipients. It reports false where that is none.
func (d *Dispatcher) list(recipients []byte) bool {
	d.users = d.users[:0]
	for len(recipients) > 0 {
		user, rest, ok := backplane.NextRecipient(recipients)
		if !ok {
			return false
		}
		recipients = rest
		d.users = append(d.users, here{user: user})
	}
	return true
}

// find looks up who of the users is here, and leaves out the others.
func (d *Dispatcher) find() {
	d.handles = d.handles[:0]
	found := d.users[:0]
	for _, u := range d.users {
		u.from = len(d.handles)
		d.handles = d.registry.Append(d.handles, u.user)
		if u.to = len(d.handles); u.to > u.from {
			found = append(found, u)
		}
	}
	d.users = found
}

// target sorts the handles by loop, the sender's own first, and returns the
// variants that they want.
func (d *Dispatcher) target(r *backplane.Record) (want [variants]bool) {
	d.touched = d.touched[:0]
	add := func(h registry.Handle) *Targets {
		t := d.perLoop[h.Loop()]
		if t == nil {
			t = targets.Get().(*Targets)
			d.perLoop[h.Loop()] = t
			d.touched = append(d.touched, h.Loop())
		}
		t.Handles = append(t.Handles, h)
		want[VariantOf(codec.Encoding(h.Encoding()), true)] = true
		return t
	}
	for _, u := range d.users {
		if string(u.user) != string(d.message.From) {
			continue
		}
		for _, h := range d.handles[u.from:u.to] {
			add(h).Self++
			if r.Session != 0 {
				// One of them may be the session that sent it.
				want[VariantOf(codec.Encoding(h.Encoding()), false)] = true
			}
		}
	}
	for _, u := range d.users {
		if string(u.user) == string(d.message.From) {
			continue
		}
		for _, h := range d.handles[u.from:u.to] {
			add(h)
		}
	}
	return want
}

// Tick tells every loop how far the partitions have come that moved since the
// last Tick; see backplane.Handler.
func (d *Dispatcher) Tick() {
	if len(d.moved) == 0 || d.loops.Len() == 0 {
		return
	}
	positions := make([]backplane.Position, len(d.moved))
	for i, w := range d.moved {
		positions[i] = w.position
		w.moved = false
	}
	d.moved = d.moved[:0]
	d.tell(positions, false)
}

// tell puts positions into every mailbox.
func (d *Dispatcher) tell(positions []backplane.Position, lost bool) {
	for loop := range d.loops.Len() {
		t := targets.Get().(*Targets)
		t.Positions, t.Lost = positions, lost
		d.loops.Deliver(loop, Entry{Targets: t}, int64(len(positions))*positionSize)
	}
}
