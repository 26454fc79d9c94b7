package delivery

import (
	"log/slog"
	"sync/atomic"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/registry"
)

// Counters count what became of the records of one dispatch worker:
// Records = Dispatched + Nobody + Duplicates + Bad. Targets counts pairs of
// record and connection; the sessions count what became of each.
type Counters struct {
	Records    atomic.Uint64
	Dispatched atomic.Uint64
	Nobody     atomic.Uint64 // no user of the record has a connection here
	Duplicates atomic.Uint64 // a retry whose first copy is in the log
	Bad        atomic.Uint64 // not one of godwit's records
	Targets    atomic.Uint64
}

// Dispatcher is the backplane.Handler of one dispatch worker.
type Dispatcher struct {
	// Static after construction.
	loops    Loops
	registry *registry.Registry
	memory   *Memory
	tails    *Tails
	windowOf func() *backplane.Dedupe
	log      *slog.Logger
	Counters Counters

	// Owned by the worker.
	windows map[backplane.Partition]*window
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

// here is a user of the record at hand with connections on this node: handles[from:to].
type here struct {
	user     []byte
	from, to int
}

// Config is what a Dispatcher works with.
type Config struct {
	Loops    Loops
	Registry *registry.Registry
	Memory   *Memory
	Tails    *Tails
	// NewDedupe makes the set of recent message ids of one partition.
	NewDedupe func() *backplane.Dedupe
	Log       *slog.Logger
}

// New returns the dispatcher of one worker.
func New(c Config) *Dispatcher {
	return &Dispatcher{
		loops: c.Loops, registry: c.Registry, memory: c.Memory, tails: c.Tails,
		windowOf: c.NewDedupe, log: c.Log,
		windows: make(map[backplane.Partition]*window),
		perLoop: make([]*Targets, registry.MaxLoops),
	}
}

// Record takes one record to the loops; see backplane.Handler.
func (d *Dispatcher) Record(r *backplane.Record) {
	d.Counters.Records.Add(1)
	w := d.windows[r.Partition]
	if w == nil {
		w = &window{seen: d.windowOf()}
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
	duplicate := w.seen.Seen(id, r.Time)

	// Before the registry is asked: see Tails.
	d.tails.Advance(r.Partition, r.Offset)
	if duplicate {
		d.Counters.Duplicates.Add(1)
		return
	}
	d.find(r.Recipients)
	if len(d.handles) == 0 {
		d.Counters.Nobody.Add(1)
		return
	}
	if err := backplane.ParseMessage(r.Value, &d.message); err != nil {
		d.bad(r, err)
		return
	}
	var f *Frame
	f, d.scratch = shared(d.memory, d.scratch, r, &d.message, d.target(r))
	weight := f.size()
	f.Retain(len(d.touched) - 1)
	d.Counters.Dispatched.Add(1)
	d.Counters.Targets.Add(uint64(len(d.handles)))
	for _, loop := range d.touched {
		t := d.perLoop[loop]
		d.perLoop[loop] = nil
		d.loops.Deliver(loop, Entry{Frame: f, Targets: t}, weight)
	}
}

// bad counts a record that is none of ours. Somebody else writes to the topic;
// the partition goes on.
func (d *Dispatcher) bad(r *backplane.Record, err error) {
	d.tails.Advance(r.Partition, r.Offset)
	d.Counters.Bad.Add(1)
	d.log.Warn("skipped a record that is not a message", "partition", r.Partition, "offset", r.Offset, "err", err)
}

// find looks up who of the recipients is here.
func (d *Dispatcher) find(recipients []byte) {
	d.handles, d.users = d.handles[:0], d.users[:0]
	for {
		user, rest, ok := backplane.NextRecipient(recipients)
		if !ok {
			return
		}
		recipients = rest
		from := len(d.handles)
		d.handles = d.registry.Append(d.handles, user)
		if len(d.handles) > from {
			d.users = append(d.users, here{user, from, len(d.handles)})
		}
	}
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
	loops := d.loops.Len()
	if len(d.moved) == 0 || loops == 0 {
		return
	}
	positions := make([]backplane.Position, len(d.moved))
	for i, w := range d.moved {
		positions[i] = w.position
		w.moved = false
	}
	d.moved = d.moved[:0]
	for loop := range loops {
		t := targets.Get().(*Targets)
		t.Positions = positions
		d.loops.Deliver(loop, Entry{Targets: t}, 1)
	}
}
