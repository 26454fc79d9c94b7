package historian

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
	"github.com/godwit-im/godwit/backplane/kafka"
)

const (
	// claimTimeout is how long Claim waits to be alone. A member that was killed is missed
	// after kafka.ConsumerConfig.SessionTimeout.
	claimTimeout = 30 * time.Second

	// rebuildPause is how often Rebuild looks how far it has come.
	rebuildPause = 500 * time.Millisecond

	// rebuildClose bounds the last write of a Rebuild.
	rebuildClose = 30 * time.Second
)

var (
	// ErrNotAlone is the error of Claim while other processes write the store.
	ErrNotAlone = errors.New("other `godwit history run` processes write the store: stop them first")

	// ErrNotEmpty is the error of Rebuild for a store that has something: another process
	// writes it.
	ErrNotEmpty = errors.New("somebody else has begun to write the store: " +
		"stop all `godwit history run` processes, and rebuild it once more")
)

// Progress is how many of the records that a Rebuild has to read are in the store.
type Progress struct{ Applied, Total int64 }

// Rebuild writes a store, which must be empty, from all that the log has, and returns when
// it has come to where the log ended at first. tell is called now and then, from the
// caller's goroutine. When ctx ends, it stops, with ctx's error: a Historian then goes on
// from there.
func Rebuild(ctx context.Context, c Config, tell func(Progress)) (err error) {
	parts, err := partsOf(ctx, c.Kafka)
	if err != nil {
		return err
	}
	if applied, err := c.Store.Applied(ctx, c.Kafka.Generation, c.Kafka.Partitions); err != nil {
		return err
	} else if total(applied) > 0 {
		return ErrNotEmpty
	}
	h, err := Start(c)
	if err != nil {
		return err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), rebuildClose)
		defer cancel()
		err = errors.Join(err, h.Close(end))
	}()
	look := time.NewTicker(rebuildPause)
	defer look.Stop()
	for {
		applied, err := c.Store.Applied(ctx, c.Kafka.Generation, c.Kafka.Partitions)
		if err == nil {
			progress := progressOf(parts, applied)
			tell(progress)
			if progress.Applied == progress.Total {
				return nil
			}
		} else if ctx.Err() == nil {
			c.Log.Warn("how far history has come could not be asked for, and will be asked again", "err", err)
		}
		if err := h.Ready(); err != nil {
			return err
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// part is what the log has of a partition: the offsets from first to before end.
type part struct{ first, end int64 }

func partsOf(ctx context.Context, c kafka.Config) ([]part, error) {
	r, err := kafka.NewReader(c)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	parts := make([]part, c.Partitions)
	for p := range parts {
		if parts[p].first, parts[p].end, err = r.Bounds(ctx, backplane.Partition(p)); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

func progressOf(parts []part, applied []history.Applied) (sum Progress) {
	for p, part := range parts {
		sum.Total += part.end - part.first
		sum.Applied += min(max(applied[p].Offset+1, part.first), part.end) - part.first
	}
	return sum
}

// total returns how many offsets are applied.
func total(applied []history.Applied) (n int64) {
	for _, a := range applied {
		n += a.Offset + 1
	}
	return n
}

// Claim makes sure that no other member of the group writes the store, which is about to be
// emptied: it joins the group, and returns when it has been given every partition. None
// is read. release leaves the group.
func Claim(ctx context.Context, c kafka.Config, group string) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, claimTimeout)
	defer cancel()
	m := &claimant{given: make(map[backplane.Partition]bool), n: int(c.Partitions), all: make(chan struct{})}
	c.Logger = nil // it would tell of every partition that is not read
	g, err := kafka.NewGroup(c, group, 1, func(int) backplane.Handler { return idle{} }, m.give)
	if err != nil {
		return nil, err
	}
	select {
	case <-m.all:
		return g.Close, nil
	case <-ctx.Done():
		g.Close()
		m.mu.Lock()
		defer m.mu.Unlock()
		return nil, fmt.Errorf("%w (%d of %d partitions of the group %s are theirs, or the log does not answer)",
			ErrNotAlone, m.n-len(m.given), m.n, group)
	}
}

// claimant counts the partitions that a group gives to it.
type claimant struct {
	n   int
	all chan struct{} // closed when all were given

	mu    sync.Mutex
	given map[backplane.Partition]bool // guarded by mu
}

// errClaimed keeps a Group from reading.
var errClaimed = errors.New("historian: the partition is claimed, not read")

// give is called for each partition, again and again, as it does not want to read them.
func (m *claimant) give(p backplane.Partition) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.given[p] {
		m.given[p] = true
		if len(m.given) == m.n {
			close(m.all)
		}
	}
	return 0, errClaimed
}

// idle is the handler of a group that reads nothing.
type idle struct{}

func (idle) Begin(backplane.Partition, int64, int64) {}
func (idle) Record(*backplane.Record)                {}
func (idle) End(backplane.Partition)                 {}
func (idle) Tick()                                   {}
