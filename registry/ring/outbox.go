package ring

// Outbox is a bounded queue for one connection. It is owned by the connection's
// loop: no other goroutine may touch it or its pool. The zero value is an empty
// outbox; it holds a ring of entries only while it holds entries, and gives it
// back to the pool when the last is popped, so that an idle connection costs
// one pointer.
type Outbox[E any] struct {
	r *entries[E]
}

type entries[E any] struct {
	buf  []E // its length is a power of two
	head int
	n    int
}

// Pool is a loop's free list of rings for its outboxes. The zero value is
// empty. Rings come in sizes of 8, 32, 128, ... entries: a connection with
// little in its queue takes little.
type Pool[E any] struct {
	free [ringSizes][]*entries[E]
}

const (
	smallestRing = 8
	ringGrowth   = 4
	ringSizes    = 8 // the largest has 8*4^7 = 131,072 entries

	// keepEntries bounds the free list of each size, in entries of its rings: after a
	// storm the rest goes to the garbage collector.
	keepEntries = 1 << 15
)

// MaxOutbox is the greatest number of entries that an outbox can hold.
const MaxOutbox = smallestRing << (2 * (ringSizes - 1))

func (p *Pool[E]) take(size int) *entries[E] {
	if size >= ringSizes {
		panic("ring: more than MaxOutbox entries in an outbox")
	}
	if l := p.free[size]; len(l) > 0 {
		r := l[len(l)-1]
		l[len(l)-1] = nil
		p.free[size] = l[:len(l)-1]
		return r
	}
	return &entries[E]{buf: make([]E, smallestRing<<(2*size))}
}

func (p *Pool[E]) give(r *entries[E]) {
	size := 0
	for smallestRing<<(2*size) < len(r.buf) {
		size++
	}
	if len(p.free[size]) < max(keepEntries/len(r.buf), 1) {
		p.free[size] = append(p.free[size], r)
	}
}

// Len returns the number of entries.
func (o *Outbox[E]) Len() int {
	if o.r == nil {
		return 0
	}
	return o.r.n
}

// Push appends e. The bound is the caller's: it knows which entries have a
// place reserved. Beyond MaxOutbox entries Push panics.
func (o *Outbox[E]) Push(p *Pool[E], e E) {
	switch {
	case o.r == nil:
		o.r = p.take(0)
	case o.r.n == len(o.r.buf):
		o.grow(p)
	}
	r := o.r
	r.buf[(r.head+r.n)&(len(r.buf)-1)] = e
	r.n++
}

func (o *Outbox[E]) grow(p *Pool[E]) {
	old := o.r
	size := 0
	for smallestRing<<(2*size) <= len(old.buf) {
		size++
	}
	r := p.take(size)
	n := copy(r.buf, old.buf[old.head:])
	copy(r.buf[n:], old.buf[:old.head])
	r.head, r.n = 0, old.n
	clear(old.buf)
	old.head, old.n = 0, 0
	p.give(old)
	o.r = r
}

// At returns the i-th entry, counted from the oldest. It panics when there is none.
func (o *Outbox[E]) At(i int) *E {
	if i >= o.Len() {
		panic("ring: no such entry in the outbox")
	}
	return &o.r.buf[(o.r.head+i)&(len(o.r.buf)-1)]
}

// Pop removes and returns the oldest entry. It panics when there is none.
func (o *Outbox[E]) Pop(p *Pool[E]) E {
	slot := o.At(0)
	e := *slot
	var zero E
	*slot = zero
	r := o.r
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.n--
	if r.n == 0 {
		r.head = 0
		p.give(r)
		o.r = nil
	}
	return e
}
