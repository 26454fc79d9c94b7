package kafka

import (
	"slices"
	"sync"
	"sync/atomic"
)

// wire watches the produce requests and their answers as they cross the
// producer's connections, because the client does not tell two things that an
// ack needs:
//
//   - When the broker stamped a record. With LogAppendTime the time of a record is
//     the broker's, and it is in the answer to the produce request, but the client
//     drops it: Record.Timestamp in a promise is the producer's own clock.
//   - Whether a refused record may have been written all the same. The client
//     reports one error for a partition's whole buffer, and it is the error of the
//     last attempt at the first batch. Three things can hide behind it: an earlier
//     attempt of the same batch whose answer never came or did not tell; a later
//     batch in another request that is still under way; and such a batch that the
//     broker did append and the client no longer wanted to hear of.
//
// For each partition it keeps how many requests that carry the partition await
// an answer, how often an answer was lost or ambiguous, and the first offset and
// time of each batch that was acknowledged. Both questions are then answered in the
// promise, by claim and clean.
//
// The connections' reads and writes update it before the client sees an answer,
// so a promise always finds what led to it.
type wire struct {
	// blind counts requests that could not be understood. None is expected; each
	// makes every partition doubtful.
	blind atomic.Uint32

	parts []wirePartition

	mu sync.Mutex // guards what wirePartition says it guards
}

type wirePartition struct {
	// doubts counts answers that were lost (with a connection) or that do not tell
	// whether the batch was appended. Written under wire.mu, read without.
	doubts atomic.Uint32

	// Guarded by wire.mu.
	outstanding int32   // requests on their way that carry this partition
	claimed     int64   // the base offset of the last stamp that a promise used
	stamps      []stamp // acknowledged batches in order of offset, the claimed one first
}

// stamp is what the broker says of a batch that it appended.
type stamp struct {
	base int64 // the offset of its first record
	time int64 // its log append time in Unix milliseconds; -1 if records keep the producer's
}

func newWire(partitions int32) *wire {
	w := &wire{parts: make([]wirePartition, partitions)}
	for i := range w.parts {
		w.parts[i].claimed = -1
	}
	return w
}

// doubts returns a number that grows whenever something about partition p
// becomes uncertain. It is remembered with a record when it is handed on.
func (w *wire) doubts(p int32) uint32 { return w.parts[p].doubts.Load() + w.blind.Load() }

// claim returns the log append time of the record at offset in partition p, or
// ok false if its time is the producer's. It is called once for each record that
// was stored, in order of promises; stamps that precede it are forgotten.
func (w *wire) claim(p int32, offset int64) (time int64, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	part := &w.parts[p]
	n := 0 // stamps that are not after offset
	for n < len(part.stamps) && part.stamps[n].base <= offset {
		n++
	}
	if n == 0 {
		// An answer without an offset: DUPLICATE_SEQUENCE_NUMBER, which the client
		// takes for success.
		return 0, false
	}
	part.stamps = slices.Delete(part.stamps, 0, n-1)
	part.claimed = part.stamps[0].base
	return part.stamps[0].time, part.stamps[0].time >= 0
}

// clean reports whether a record of partition p that was handed on when doubts(p)
// was since, and that the client now reports as refused, was certainly not
// written: every request that may have carried it has been answered, every
// answer told clearly, and no acknowledged batch of the partition waits for its
// promise, which could be this record's. It errs to the side of doubt.
func (w *wire) clean(p int32, since uint32) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	part := &w.parts[p]
	if part.outstanding > 0 || w.doubts(p) != since {
		return false
	}
	return len(part.stamps) == 0 || part.stamps[len(part.stamps)-1].base <= part.claimed
}

// sent notes that a request with these partitions is about to be written.
func (w *wire) sent(partitions []int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range partitions {
		if w.has(p) {
			w.parts[p].outstanding++
		}
	}
}

// answered takes one request with these partitions from what is outstanding.
// answers tells of each partition; one that it leaves out becomes doubtful, and
// so do all of them if it is nil (the answer was lost). Both are in ascending
// order of partitions.
func (w *wire) answered(partitions []int32, answers []answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range partitions {
		if !w.has(p) {
			continue
		}
		for len(answers) > 0 && answers[0].partition < p {
			answers = answers[1:]
		}
		part := &w.parts[p]
		part.outstanding--
		switch {
		case len(answers) == 0 || answers[0].partition != p:
			part.doubts.Add(1)
		case answers[0].code == 0:
			part.push(answers[0].stamp)
		case !refusal(answers[0].code):
			part.doubts.Add(1)
		}
	}
}

// has guards against a partition that the topic grew by behind our back.
func (w *wire) has(p int32) bool { return p >= 0 && int(p) < len(w.parts) }

// push adds a stamp, nearly always at the end: only when a partition's leader
// moved can an answer overtake another.
func (p *wirePartition) push(s stamp) {
	i, found := slices.BinarySearchFunc(p.stamps, s, func(a, b stamp) int {
		return int(min(max(a.base-b.base, -1), 1))
	})
	if !found && s.base > p.claimed {
		p.stamps = slices.Insert(p.stamps, i, s)
	}
}
