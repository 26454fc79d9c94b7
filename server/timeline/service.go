package timeline

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
)

// Service reads timelines. Any goroutine may call its methods.
type Service struct {
	// Static after construction.
	cfg      Config
	ctx      context.Context // until Close
	cancel   context.CancelFunc
	applied  *shared[[]history.Applied]
	bounds   []shared[bounds]    // by partition
	starts   []shared[start]     // by partition
	erasures []shared[*erasures] // by partition
	windows  windows
	counters Counters

	mu sync.Mutex
	serviceState
}

// serviceState is what Service.mu guards.
type serviceState struct {
	closed  bool
	running sync.WaitGroup // Add is called under mu, so that none follows Wait
}

// bounds are those of a partition of the log; see Reader.
type bounds struct{ first, end int64 }

// start is where what can be read from a partition of the log begins. The log begins at
// first, and sure is the first offset from which on records can be told from duplicates: where
// something was deleted, that takes a duplicate window of what is left. end is the log's, as it
// was asked for then: sure may still move if it is there.
type start struct{ first, sure, end int64 }

// New returns a Service. Whoever has it calls Close.
func New(cfg Config) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Service{
		cfg: cfg, bounds: make([]shared[bounds], cfg.N), starts: make([]shared[start], cfg.N),
		erasures: make([]shared[*erasures], cfg.N),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.applied = &shared[[]history.Applied]{service: s, ask: s.askApplied}
	for p := range s.bounds {
		s.bounds[p].service = s
		s.bounds[p].ask = func(ctx context.Context) (bounds, error) { return s.askBounds(ctx, backplane.Partition(p)) }
		s.starts[p].service = s
		s.starts[p].ask = func(ctx context.Context) (start, error) { return s.askStart(ctx, backplane.Partition(p)) }
		s.erasures[p].service = s
		s.erasures[p].ask = func(ctx context.Context) (*erasures, error) { return s.askErasures(ctx, backplane.Partition(p)) }
	}
	s.windows.init(s)
	return s, nil
}

// KeepsHistory reports whether there is a store.
func (s *Service) KeepsHistory() bool { return s.cfg.Store != nil }

// Counters returns what the Service counts.
func (s *Service) Counters() *Counters { return &s.counters }

// Close ends all reads with ErrClosed, and returns when the goroutines of the
// Service have ended. It does not close the store or the reader.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.running.Wait()
}

// start runs f on a goroutine that Close waits for. It reports false if the Service is
// closed.
func (s *Service) start(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.running.Go(f)
	return true
}

// bound returns the context of one read: it ends with the timeout and with the Service.
func (s *Service) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	stop := context.AfterFunc(s.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// fail returns err as an *Error.
func (s *Service) fail(code Code, err error) error {
	switch {
	case s.ctx.Err() != nil:
		return ErrClosed
	case errors.As(err, new(*Error)):
		return err
	}
	return &Error{Code: code, Err: err}
}

func (s *Service) askApplied(ctx context.Context) ([]history.Applied, error) {
	s.counters.Asked.Add(1)
	applied, err := s.cfg.Store.Applied(ctx, s.cfg.Generation, s.cfg.N)
	if err == nil && len(applied) != int(s.cfg.N) {
		err = fmt.Errorf("the store told the positions of %d partitions, of %d", len(applied), s.cfg.N)
	}
	return applied, err
}

func (s *Service) askBounds(ctx context.Context, p backplane.Partition) (b bounds, err error) {
	s.counters.Bounds.Add(1)
	b.first, b.end, err = s.cfg.Reader.Bounds(ctx, p)
	return b, err
}

// askStart finds out from where on a window serves what it reads; see window.begin.
func (s *Service) askStart(ctx context.Context, p backplane.Partition) (start, error) {
	b, err := s.askBounds(ctx, p)
	if err != nil {
		return start{}, err
	}
	at := start{first: b.first, sure: b.first, end: b.end}
	if at.first == 0 {
		return at, nil
	}
	time, err := s.timeAfter(ctx, p, b.first-1, b.end)
	if err == nil && time != never {
		at.sure, err = s.cfg.Reader.OffsetAt(ctx, p, time+backplane.DuplicateWindow.Milliseconds())
	}
	return at, err
}

// startOf returns from where on a partition of the log can be read, which has these bounds.
// The log is asked when its start has moved.
func (s *Service) startOf(ctx context.Context, p backplane.Partition, b bounds) (start, error) {
	if b.first == 0 {
		return start{end: b.end}, nil
	}
	if at := s.starts[p].known(); at.first == b.first && at.sure < at.end {
		return at, nil
	}
	at, err := s.starts[p].get(ctx, boundsAge)
	if err != nil {
		return start{}, s.fail(LogUnavailable, err)
	}
	return at, nil
}

// boundsOf returns the bounds of a partition as they were at most boundsAge ago.
func (s *Service) boundsOf(ctx context.Context, p backplane.Partition) (bounds, error) {
	b, err := s.bounds[p].get(ctx, boundsAge)
	if err != nil {
		return bounds{}, s.fail(LogUnavailable, err)
	}
	return b, nil
}

// position is how far the store has come in a partition.
type position struct {
	history.Applied
	// stale is why that could not be asked for again: then it may be used to tell
	// what the store did not have, but not to read from it.
	stale error
}

// has reports whether the store has what follows an offset.
func (a *position) has(after int64) bool { return a.Floor <= after && after < a.Offset }

// lost returns the offset up to which some of what follows after is gone, if what stands up to
// upto can be had from the store only; -1 if nothing is.
func (a *position) lost(after, upto int64) int64 {
	switch {
	case after < upto && a.Offset < upto:
		return max(upto, a.Floor) // what stands between the store and the next place
	case after < a.Floor:
		return a.Floor
	}
	return -1
}

// positionOf returns how far the store has come. lacks tells what a reader needs to be
// behind it: if it is not, the store is asked again, as it may have come further since.
// A store that does not answer leaves time to read the log, if what it said last is enough
// to know that it would not help.
func (s *Service) positionOf(ctx context.Context, p backplane.Partition, lacks int64) (position, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout/appliedPart)
	defer cancel()
	applied, err := s.applied.get(ctx, appliedAge)
	if err == nil && applied[p].Offset <= lacks {
		applied, err = s.applied.get(ctx, appliedPause)
	}
	switch {
	case err == nil:
		return position{Applied: applied[p]}, nil
	case applied != nil && applied[p].Offset <= lacks:
		return position{Applied: applied[p], stale: err}, nil
	}
	return position{}, s.fail(HistoryUnavailable, err)
}

// latest returns how far the store has come at this moment.
func (s *Service) latest(ctx context.Context, p backplane.Partition) (position, error) {
	applied, err := s.applied.get(ctx, 0)
	if err != nil {
		return position{}, s.fail(HistoryUnavailable, err)
	}
	return position{Applied: applied[p]}, nil
}

// errTakenBack is why what was read from the store is worth nothing.
var errTakenBack = errors.New("the store was emptied meanwhile")

// read reads the store, which must have been told to have q's range, and returns its floor
// as well: that is asked for afterwards, since entries may have been removed meanwhile.
// Everything above it is in the page.
func (s *Service) read(ctx context.Context, q *history.Query) (page history.Page, floor int64, err error) {
	s.counters.Stored.Add(1)
	if page, err = s.cfg.Store.Read(ctx, q); err != nil {
		s.counters.Failed.Add(1)
		return history.Page{}, 0, s.fail(HistoryUnavailable, err)
	}
	pos, err := s.latest(ctx, q.Partition)
	if err == nil && pos.Offset < q.Before-1 {
		err = &Error{Code: HistoryUnavailable, Err: errTakenBack}
	}
	if err != nil {
		return history.Page{}, 0, err
	}
	return page, pos.Floor, nil
}

// query returns a query for the whole of a user's timeline, oldest first.
func (s *Service) query(user []byte, p backplane.Partition, peer []byte, limit, bytes int) history.Query {
	return history.Query{
		User: user, Generation: s.cfg.Generation, Partition: p, Peer: peer,
		After: -1, Before: forever, Limit: limit, Bytes: bytes, Now: s.cfg.Now().UnixMilli(),
	}
}
