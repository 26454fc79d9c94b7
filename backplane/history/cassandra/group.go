package cassandra

import (
	"context"
	"sync"

	"github.com/apache/cassandra-gocql-driver/v2"
)

// group runs statements side by side, as many as there are free slots of the store, and
// ends them all when one fails. Its methods are for one goroutine.
type group struct {
	store  *Store
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	once sync.Once
	err  error // set by once; read after wg
}

func (s *Store) group(ctx context.Context) *group {
	g := &group{store: s}
	g.ctx, g.cancel = context.WithCancel(ctx)
	return g
}

// run runs f on a goroutine of its own, once there is a slot. f must not run others. It
// does nothing when the group has failed.
func (g *group) run(f func(context.Context) error) {
	select {
	case g.store.slots <- struct{}{}:
	case <-g.ctx.Done():
		g.fail(g.ctx.Err())
		return
	}
	g.wg.Go(func() {
		defer func() { <-g.store.slots }()
		if err := f(g.ctx); err != nil {
			g.fail(err)
		}
	})
}

func (g *group) fail(err error) {
	g.once.Do(func() {
		g.err = err
		g.cancel()
	})
}

// write runs a statement for each of some rows, all of one Cassandra partition, by one
// request.
func (g *group) write(stmt string, rows [][]any) {
	g.run(func(ctx context.Context) error {
		if len(rows) == 1 {
			return g.store.session.Query(stmt, rows[0]...).ExecContext(ctx)
		}
		b := g.store.session.Batch(gocql.UnloggedBatch)
		for _, args := range rows {
			b.Entries = append(b.Entries, gocql.BatchEntry{Stmt: stmt, Args: args, Idempotent: true})
		}
		b.SetKeyspace(g.store.cfg.Keyspace) // for the choice of the node
		return b.ExecContext(ctx)
	})
}

// wait waits for everything that was run, and returns the first error.
func (g *group) wait() error {
	g.wg.Wait()
	g.cancel()
	return g.err
}
