package cassandra

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
)

// Store is a history.Store in Cassandra.
type Store struct {
	// Static.
	cfg     Config
	session *session
	cql     *statements
	slots   chan struct{} // one is held for each statement of a Write under way
	index   *written
	now     func() time.Time

	// Atomic.
	set    atomic.Pointer[settings]
	closed atomic.Bool

	mu struct {
		sync.Mutex
		// positions are what the store is known to have, at least.
		positions map[place]position
		// floors are those that the retention makes, of the days before cutoff.
		floors map[place]int64
		cutoff int64
	}
}

var _ history.Store = (*Store)(nil)

// place names a partition of a generation.
type place struct {
	generation uint32
	partition  backplane.Partition
}

// Open returns the store that Create has made. Its error is ErrMissing if there is none,
// and history.ErrForeign if it belongs to another version, namespace or cluster. A ctx
// that ends while it connects leaves a goroutine for as long as that goes on.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	session, err := connect(ctx, &cfg, cfg.Timeout)
	if err != nil {
		return nil, err
	}
	s := &Store{
		cfg:     cfg,
		session: session,
		cql:     newStatements(cfg.Keyspace),
		slots:   make(chan struct{}, cfg.Concurrency),
		index:   newWritten(indexCache),
		now:     time.Now,
	}
	s.forget()
	if err := s.adopt(ctx); err != nil {
		session.Close()
		return nil, err
	}
	return s, nil
}

// adopt makes sure whose store it is, and makes the retention that of the configuration.
func (s *Store) adopt(ctx context.Context) error {
	set, err := readSettings(ctx, s.session, s.cfg.Keyspace)
	switch {
	case invalid(err):
		return fmt.Errorf("%w: keyspace %s: %w", ErrMissing, s.cfg.Keyspace, err)
	case err != nil:
		return failed("open", err)
	case set.format == "":
		return fmt.Errorf("%w: keyspace %s has no format", ErrMissing, s.cfg.Keyspace)
	}
	if err := set.belongsTo(&s.cfg); err != nil {
		return err
	}
	if set.cluster == "" && s.cfg.Cluster != "" {
		if err := s.session.Query(fmt.Sprintf(insertSetting, s.cfg.Keyspace), nameCluster, int64(0), s.cfg.Cluster).ExecContext(ctx); err != nil {
			return failed("open", err)
		}
	}
	keep := s.cfg.Retention.Milliseconds()
	if len(set.epochs) > 0 && set.keep() == keep {
		s.set.Store(set)
		return nil
	}
	since := s.now().UnixMilli()
	if n := len(set.epochs); n > 0 {
		since = max(since, set.epochs[n-1].since+1)
	}
	value := strconv.FormatInt(keep, 10)
	if err := s.session.Query(fmt.Sprintf(insertSetting, s.cfg.Keyspace), nameRetention, since, value).ExecContext(ctx); err != nil {
		return failed("open", err)
	}
	_, err = s.refresh(ctx)
	return failed("open", err)
}

// Close ends the connections. Calls under way may fail with history.ErrClosed.
func (s *Store) Close() error {
	if !s.closed.Swap(true) {
		s.session.Close()
	}
	return nil
}

// Reset removes everything. No process may write meanwhile, or read what it has just
// seen: every Store but this one must be closed, and opened again.
func (s *Store) Reset(ctx context.Context) error {
	if s.closed.Load() {
		return history.ErrClosed
	}
	admin, err := connect(ctx, &s.cfg, adminTimeout)
	if err != nil {
		return err
	}
	defer admin.Close()
	// The positions go first: without them, nothing of what is left is shown.
	for _, table := range data {
		if err := admin.Query(fmt.Sprintf("TRUNCATE %s.%s", s.cfg.Keyspace, table)).ExecContext(ctx); err != nil {
			return s.fail("reset", err)
		}
	}
	// The retentions of what is gone are of no interest any more.
	set, err := s.refresh(ctx)
	if err != nil {
		return s.fail("reset", err)
	}
	latest := set.epochs[len(set.epochs)-1].since
	if err := s.session.Query(fmt.Sprintf(deleteSetting, s.cfg.Keyspace), nameRetention, latest).ExecContext(ctx); err != nil {
		return s.fail("reset", err)
	}
	s.forget()
	_, err = s.refresh(ctx)
	return s.fail("reset", err)
}

// forget makes the store ask for everything anew.
func (s *Store) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.positions = make(map[place]position)
	s.mu.floors = make(map[place]int64)
	s.mu.cutoff = noDay
	s.index.forget()
}

// begin bounds a call by the configured time.
func (s *Store) begin(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.cfg.Timeout)
}

// fail gives an error its type. Statements that Close interrupts fail in various ways.
func (s *Store) fail(op string, err error) error {
	if err != nil && s.closed.Load() {
		return history.ErrClosed
	}
	return failed(op, err)
}

// settings returns settings that are no older than settingsAge.
func (s *Store) settings(ctx context.Context) (*settings, error) {
	if set := s.set.Load(); set != nil && time.Since(set.read) < settingsAge {
		return set, nil
	}
	return s.refresh(ctx)
}

// refresh reads the settings.
func (s *Store) refresh(ctx context.Context) (*settings, error) {
	set, err := readSettings(ctx, s.session, s.cfg.Keyspace)
	if err != nil {
		return nil, err
	}
	if set.format == "" || len(set.epochs) == 0 {
		return nil, errors.New("the store has lost its settings")
	}
	if err := set.belongsTo(&s.cfg); err != nil {
		return nil, err
	}
	s.set.Store(set)
	return set, nil
}
