package timeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
	"github.com/godwit-im/godwit/server/tail"
)

// Reader reads the log; kafka.Reader is one. Its methods may be called from any
// goroutine, and end soon after their context does.
type Reader interface {
	// Bounds returns the offset of the first record that a partition still has, and the
	// one that its next record gets.
	Bounds(ctx context.Context, p backplane.Partition) (first, end int64, err error)
	// OffsetAt returns the offset of the first record with a log time of at least ms
	// (Unix milliseconds), or the partition's end where there is none.
	OffsetAt(ctx context.Context, p backplane.Partition, ms int64) (int64, error)
	// Scan hands the records of a partition from one offset up to another, exclusive,
	// to f, in order, until f returns false. An offset may have no record. It is an
	// error if the log has lost records of the range.
	Scan(ctx context.Context, p backplane.Partition, from, to int64, f func(*backplane.Record) bool) error
}

// Config is what a Service works with.
type Config struct {
	// Generation and N are those of the messages topic.
	Generation uint32
	N          int32
	// Tails are the node's.
	Tails *tail.Tails
	// Reader reads the messages topic.
	Reader Reader
	// Store keeps history; nil on a node without.
	Store history.Store
	// ScanBytes is the memory for what is read from the log, in bytes: at least
	// MinScanBytes.
	ScanBytes int64
	// Timeout bounds each read.
	Timeout time.Duration
	// Now tells the time by which messages expire.
	Now func() time.Time
	Log *slog.Logger
}

// Validate returns an error that names what is wrong.
func (c *Config) Validate() error {
	switch {
	case c.N <= 0 || c.N > backplane.MaxPartitions:
		return fmt.Errorf("timeline: N is %d, and must be 1 to %d", c.N, backplane.MaxPartitions)
	case c.Tails == nil || c.Reader == nil || c.Now == nil || c.Log == nil:
		return errors.New("timeline: Tails, Reader, Now and Log are needed")
	case c.ScanBytes < MinScanBytes:
		return fmt.Errorf("timeline: ScanBytes is %d, and must be at least %d", c.ScanBytes, MinScanBytes)
	case c.Timeout <= 0:
		return fmt.Errorf("timeline: Timeout is %v, and must be positive", c.Timeout)
	}
	return nil
}
