package session

import (
	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/registry"
	"github.com/godwit-im/godwit/server/delivery"
)

// ReadingKind says what a Reading asks.
type ReadingKind uint8

const (
	// ReadResume asks whether a connection may go on behind After: whether the log
	// reaches so far (Code is codec.CodeUnknownCursor if not), and whether what follows is
	// still there (Gone).
	ReadResume ReadingKind = iota
	// ReadLast asks for the place before the newest Limit messages: After of the answer.
	ReadLast
	// ReadNext asks for what follows After: Caught, up to and including Examined.
	ReadNext
	// ReadPage asks for the page that answers History: Page.
	ReadPage
)

// Reading is a question about a user's timeline that a session waits for, with its answer.
// It is worked out on another goroutine, and belongs to that until Done.
type Reading struct {
	Kind      ReadingKind
	User      string
	Partition backplane.Partition
	Encoding  codec.Encoding

	// After is exclusive. Limit is the most messages, Bytes how many bytes are enough.
	After        int64
	Limit, Bytes int

	// History is what was asked for a page; After, Before and Around are its cursors.
	History *codec.History
	// Before and Around are the offsets of its other cursors; -1 where there is none.
	Before, Around int64

	// Near says that the question is for what the tail had when it was asked. Those wait for
	// nothing, and so not for the others either.
	Near bool

	// The answer. Code is empty, or says why there is none; then the question may be asked
	// again later if the code is retryable.
	Code     backplane.Code
	Caught   []Caught
	Examined int64           // every message after After up to there is in Caught, or is not to be shown
	Live     bool            // Examined is the end of the partition's tail
	Gone     int64           // -1, or the last offset up to which messages after After may be gone for good
	Page     *delivery.Frame // the whole frame, with one reference

	answer *Answer
}

// Caught is a message of the timeline on its way to one connection.
type Caught struct {
	Frame *delivery.Frame // with one reference
	Self  bool            // the user is the sender
}

// NewPage returns the question for the page that h asks for, which it keeps, of a timeline
// in a partition of a generation. Its User and Encoding are left to the caller. The code is
// empty, or says what is wrong with a cursor.
func NewPage(h *codec.History, generation uint32, p backplane.Partition) (*Reading, backplane.Code) {
	r := &Reading{Kind: ReadPage, Partition: p, Limit: h.Limit, Bytes: codec.PageBytes, History: h, After: -1, Before: -1, Around: -1}
	for _, c := range []struct {
		text []byte
		to   *int64
	}{{h.After, &r.After}, {h.Before, &r.Before}, {h.Around, &r.Around}} {
		if len(c.text) == 0 {
			continue
		}
		offset, code := codec.ResolveCursor(c.text, generation, p)
		if code != "" {
			return nil, code
		}
		*c.to = offset
	}
	return r, ""
}

// Done tells that the answer is there. Any goroutine may call it, once.
func (r *Reading) Done() { r.answer.lane.Answer(r.answer) }

// Release gives up what an answer holds that nobody waits for.
func (r *Reading) Release() {
	for _, c := range r.Caught {
		if c.Frame != nil {
			c.Frame.Release()
		}
	}
	r.Caught = nil
	if r.Page != nil {
		r.Page.Release()
		r.Page = nil
	}
}

// roomToRead reports whether the loop may have one more question under way.
func (l *Loop) roomToRead(near bool) bool {
	return l.reading < l.config.Readings && (near || l.far < l.config.Readings-l.config.Readings/nearPart)
}

// read has a question worked out. It reports false when the loop has all the readings
// under way that it may have.
func (s *Session) read(l *Loop, r *Reading) bool {
	r.Near = r.Kind == ReadNext && r.After >= l.deps.Tails.Partition(s.partition).Floor()
	if !l.roomToRead(r.Near) {
		return false
	}
	a := l.takeAnswer(s)
	if a == nil {
		return false
	}
	r.User, r.Partition, r.Encoding, r.Gone = s.user(), s.partition, s.encoding, -1
	r.answer, a.reading = a, r
	if !l.deps.Read(r) {
		a.reading = nil
		l.giveAnswer(a)
		return false
	}
	l.reading++
	if !r.Near {
		l.far++
	}
	return true
}

// answeredReading takes the answer to a question, of a session that is nil if the
// connection has gone.
func (l *Loop) answeredReading(a *Answer, s *Session) {
	r := a.reading
	a.reading = nil
	l.reading--
	if !r.Near {
		l.far--
	}
	if s != nil {
		switch r.Kind {
		case ReadResume, ReadLast:
			s.resolved(l, r, a)
		case ReadNext:
			s.caughtUp(l, r)
		case ReadPage:
			s.page(l, r)
		}
	}
	r.Release()
	l.callReaders(&l.readers.near, true)
	l.callReaders(&l.readers.far, false)
}

// callReaders has those read now who found no room. Who finds none again, because sends have
// all the credits, waits on at the end of the queue: so each is asked once.
func (l *Loop) callReaders(list *[]registry.Handle, near bool) {
	for n := len(*list); n > 0 && l.roomToRead(near); n-- {
		h := (*list)[0]
		*list = (*list)[1:]
		if s := l.lane.Session(h); s != nil && s.catch != nil {
			s.catch.queued = false
			s.catchOn(l)
		}
	}
}
