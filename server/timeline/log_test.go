package timeline

import (
	"context"
	"errors"
	"sync"

	"github.com/godwit-im/godwit/backplane"
)

// memoryLog is a log in memory, with the troubles of a real one.
type memoryLog struct {
	mu         sync.Mutex
	partitions []*memoryPartition
	trouble    trouble
	failAfter  int // records that a Scan gives before it fails; 0 is all
}

// memoryPartition keeps what was deleted as well, for reference.
type memoryPartition struct {
	records    []backplane.Record
	first, end int64
}

// trouble is what is wrong with a log or a store.
type trouble int

const (
	fine  trouble = iota
	down          // every call fails
	hangs         // no call is answered
)

var errDown = errors.New("down")

func (t trouble) meet(ctx context.Context) error {
	switch t {
	case down:
		return errDown
	case hangs:
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func newMemoryLog(n int32) *memoryLog {
	l := &memoryLog{}
	for range n {
		l.partitions = append(l.partitions, &memoryPartition{})
	}
	return l
}

// add appends a record, whose position and time are given, but for the offset.
func (l *memoryLog) add(r backplane.Record) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.partitions[r.Partition]
	r.Offset = p.end
	p.records = append(p.records, r)
	p.end++
	return r.Offset
}

// skip leaves an offset without a record.
func (l *memoryLog) skip(p backplane.Partition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partitions[p].end++
}

// cut deletes what stands before an offset.
func (l *memoryLog) cut(p backplane.Partition, first int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partitions[p].first = max(l.partitions[p].first, first)
}

func (l *memoryLog) set(t trouble, failAfter int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trouble, l.failAfter = t, failAfter
}

// begin returns a partition; the caller unlocks l.mu if there is no error.
func (l *memoryLog) begin(ctx context.Context, p backplane.Partition) (*memoryPartition, error) {
	l.mu.Lock()
	t := l.trouble
	l.mu.Unlock()
	if err := t.meet(ctx); err != nil {
		return nil, err
	}
	l.mu.Lock()
	return l.partitions[p], nil
}

func (l *memoryLog) Bounds(ctx context.Context, p backplane.Partition) (first, end int64, err error) {
	at, err := l.begin(ctx, p)
	if err != nil {
		return 0, 0, err
	}
	defer l.mu.Unlock()
	return at.first, at.end, nil
}

func (l *memoryLog) OffsetAt(ctx context.Context, p backplane.Partition, ms int64) (int64, error) {
	at, err := l.begin(ctx, p)
	if err != nil {
		return 0, err
	}
	defer l.mu.Unlock()
	return at.offsetAt(ms), nil
}

func (p *memoryPartition) offsetAt(ms int64) int64 {
	for i := range p.records {
		if r := &p.records[i]; r.Offset >= p.first && r.Time >= ms {
			return r.Offset
		}
	}
	return p.end
}

// at returns the first record at or after an offset.
func (p *memoryPartition) at(offset int64) (r backplane.Record, ok bool) {
	// Offsets are at least the number of the record.
	for i := range p.records {
		if p.records[i].Offset >= offset {
			return p.records[i], true
		}
	}
	return r, false
}

var errGone = errors.New("the log does not have the offset any more")

func (l *memoryLog) Scan(ctx context.Context, p backplane.Partition, from, to int64, f func(*backplane.Record) bool) error {
	for n := 1; ; n++ {
		at, err := l.begin(ctx, p)
		if err != nil {
			return err
		}
		if l.failAfter > 0 && n > l.failAfter {
			l.mu.Unlock()
			return errDown
		}
		if from < at.first {
			l.mu.Unlock()
			return errGone
		}
		r, ok := at.at(from)
		ok = ok && r.Offset < to
		l.mu.Unlock()
		if !ok {
			return nil
		}
		from = r.Offset + 1
		if !f(&r) {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}
