package history

import (
	"context"
	"errors"

	"github.com/godwit-im/godwit/backplane"
)

// Entry is a message in the timeline of one user.
type Entry struct {
	User []byte
	// Offset is that of the record in the user's partition.
	Offset int64
	// Time is the record's log time, in Unix milliseconds.
	Time int64
	// Value is the encoded Message.
	Value []byte
	// Peers are the users whose conversation with User this belongs to: the recipients
	// of what User sent, the sender of everything else. Only Write needs them.
	Peers [][]byte
	// Expires is when the message is hidden, in Unix milliseconds; 0 is never.
	Expires int64
}

// Erasure hides everything in a user's timeline up to and including an offset.
type Erasure struct {
	User   []byte
	Offset int64
}

// Applied is how far a store has come in a partition.
type Applied struct {
	// Offset is the last record that the store has applied: what it was to keep of the
	// partition up to there is in it. -1 is before the first.
	Offset int64
	// Time is the highest log time up to there, in Unix milliseconds.
	Time int64
	// Floor is the last record that may be missing, because its time to be kept is over
	// or because the log lost it before it was applied; everything after it is there. -1
	// if nothing is missing. Whoever reads learns the floor after the entries, since a
	// Trim may pass in between.
	Floor int64
}

// Batch is a part of one partition, to be applied at once or again.
type Batch struct {
	Generation uint32
	Partition  backplane.Partition
	// Entries and Erasures are in the order of their offsets, none of which is above
	// that of Applied.
	Entries  []Entry
	Erasures []Erasure
	// Applied is how far the partition has come with this batch; its Floor is ignored.
	Applied Applied
	// Lost says that the log no longer had the records below this offset that were not
	// applied before, so that nobody will ever write them: the floor rises to the offset
	// before it. 0 says that nothing was lost.
	Lost int64
}

// Query asks for a part of a timeline.
type Query struct {
	User       []byte
	Generation uint32
	Partition  backplane.Partition // the user's
	// Peer restricts the answer to the conversation with one user; empty for all.
	Peer []byte
	// After and Before bound the offsets, both exclusive. After is at least -1, and
	// Before at most math.MaxInt64.
	After, Before int64
	// Backward asks for the newest entries first, for those nearest to Before;
	// otherwise they come oldest first, those nearest to After.
	Backward bool
	// Limit is the most entries; Bytes is how many bytes of values are enough: the
	// entry that reaches it is the last. Both are at least 1.
	Limit, Bytes int
	// Now is when entries that have expired are left out, in Unix milliseconds.
	Now int64
}

// Page is a part of a timeline. Its entries have no Peers, and User is that of the
// query.
type Page struct {
	Entries []Entry
	// More reports that the limit was reached, and that more may follow.
	More bool
}

// Store keeps timelines. All methods may be called from any goroutine, but Write for
// one partition from one at a time. Their errors are temporary unless they are
// ErrCorrupt or ErrForeign.
type Store interface {
	// Write applies a batch. When it returns nil, the batch outlives the process and,
	// as far as the store promises it, the machine. To apply a batch again, whole or in
	// other pieces, changes nothing, so that what is applied never goes back; after an
	// error it must be applied again. Nothing of b is used once Write has returned.
	Write(ctx context.Context, b *Batch) error
	// Read answers a query from what is applied. Entries that are hidden by an erasure
	// or by their time are left out. The answer does not alias the store's memory.
	Read(ctx context.Context, q *Query) (Page, error)
	// Applied returns how far the store has come in each of the first n partitions of
	// a generation.
	Applied(ctx context.Context, generation uint32, n int32) ([]Applied, error)
	// Trim removes what has a log time before a moment, in Unix milliseconds, as far as
	// the store does that in steps: what remains is at most a day older. It moves the
	// floors first.
	Trim(ctx context.Context, before int64) error
	// Reset removes everything.
	Reset(ctx context.Context) error
	Close() error
}

var (
	// ErrCorrupt is the error of a store whose files are damaged. The log can make it anew.
	ErrCorrupt = errors.New("history: the store is damaged")
	// ErrForeign is the error of a store that another version or another cluster wrote.
	ErrForeign = errors.New("history: the store belongs to something else")
	// ErrClosed is the error of a store that was closed.
	ErrClosed = errors.New("history: the store is closed")
)
