package kafkalog

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/godwit-im/godwit/backplane/cluster"
)

// following is what the goroutine that reads the topic knows.
//
// Two things are checked before records are handed out. The log must be settled up to
// the last of them: then they end where no transaction is cut in two, since the records
// of a transaction come to be seen all at once. And the record that is in force for each
// key must still be in the log: compaction takes only what a newer one stands for, so
// where the log begins behind such a record, it was deleted by other means.
type following struct {
	next     int64            // the offset to go on from
	start    int64            // where the log began when that was last found to be in order
	inForce  map[string]int64 // the offset of the record in force for each key that has one
	waiting  []cluster.Record // read, and not handed out yet
	bytes    int              // of memory that waiting takes, about
	answered time.Time        // when a broker last answered, on the wall clock, which goes on while a machine sleeps
	failures complaints
}

func newFollowing() following {
	return following{inForce: make(map[string]int64), answered: time.Now().Round(0)}
}

// follow is the following goroutine.
func (l *Log) follow() {
	for l.ctx.Err() == nil {
		err := l.step()
		if _, alarming := errors.AsType[*TopicError](err); alarming {
			l.log.Error("kafkalog: reading has stopped; the last good state stays in force", "err", err)
			l.err = err
			close(l.alarm)
			return
		}
		l.complain(err)
		if err != nil && !pause(l.ctx) {
			return
		}
	}
}

// step reads one piece and hands out what can be.
func (l *Log) step() error {
	ctx, cancel := context.WithTimeout(l.ctx, fetchWait+2*attemptTimeout)
	defer cancel()
	s := &l.state
	got, err := l.topic.fetch(ctx, s.next, true)
	if errors.Is(err, errOutOfRange) {
		got, err = l.reposition(ctx)
	}
	if err != nil {
		return err
	}
	if !s.inTouch(time.Now()) {
		return &TopicError{Topic: l.topic.name, Err: ErrOutOfTouch}
	}
	l.lastRead.Now()
	s.keep(got)
	if s.next < got.settled && s.bytes < maxWaiting {
		return nil // there is more, and it may belong to what is waiting
	}
	if got.start != s.start {
		if s.oldest() < got.start {
			return &TopicError{Topic: l.topic.name, Err: ErrEmptied}
		}
		s.start = got.start
	}
	l.handOut()
	return nil
}

// reposition goes to where the log begins, if that is behind the offset that was asked
// for: at first, or because compaction went by. It returns an empty piece that says so.
func (l *Log) reposition(ctx context.Context) (piece, error) {
	start, err := l.topic.offset(ctx, momentStart)
	if err != nil {
		return piece{}, err
	}
	end, err := l.topic.offset(ctx, momentEnd)
	switch {
	case err != nil:
		return piece{}, err
	case l.state.next > end:
		return piece{}, &TopicError{Topic: l.topic.name, Err: ErrTruncated}
	case l.state.next >= start:
		return piece{}, errOutOfRange // it was a leader that is behind
	}
	return piece{next: start, start: start, settled: end}, nil
}

// inTouch notes that a broker has answered, and reports whether the one before that was
// not too long ago.
func (s *following) inTouch(now time.Time) bool {
	now = now.Round(0)
	since := now.Sub(s.answered)
	s.answered = now
	return since <= outOfTouch
}

// keep adds the records of a piece to those that wait.
func (s *following) keep(got piece) {
	for _, r := range got.records {
		if len(r.Key) == 0 {
			continue // nobody writes such a record, and it is none of ours
		}
		record := cluster.Record{Key: string(r.Key), Value: r.Value, Offset: r.Offset, Time: r.Timestamp.UnixMilli()}
		if r.Value == nil {
			delete(s.inForce, record.Key)
		} else {
			// Copied, so that it does not keep the whole fetch in memory.
			record.Value = append([]byte{}, r.Value...)
			s.inForce[record.Key] = r.Offset
		}
		s.waiting = append(s.waiting, record)
		s.bytes += int(unsafe.Sizeof(record)) + len(record.Key) + len(record.Value)
	}
	s.next = max(s.next, got.next)
}

// oldest returns the least offset of the records in force.
func (s *following) oldest() int64 {
	least := int64(math.MaxInt64)
	for _, offset := range s.inForce {
		least = min(least, offset)
	}
	return least
}

// handOut hands out what waits, and tells those whose barriers are among it, and those who
// wait for a decision.
func (l *Log) handOut() {
	s := &l.state
	records := make([]cluster.Record, 0, len(s.waiting))
	var barriers []string
	for _, r := range s.waiting {
		if strings.HasPrefix(r.Key, prefixBarrier) {
			barriers = append(barriers, r.Key)
		} else {
			records = append(records, r)
		}
	}
	s.waiting, s.bytes = nil, 0
	if len(records) > 0 {
		l.apply(records)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for offset, told := range l.decisions {
		if offset < s.next {
			told <- slices.ContainsFunc(records, func(r cluster.Record) bool { return r.Offset == offset })
			delete(l.decisions, offset)
		}
	}
	for _, key := range barriers {
		if seen, ok := l.barriers[key]; ok {
			close(seen)
			delete(l.barriers, key)
		}
	}
}

// complain logs a failure to read, not more often than is of use, and that it is over.
func (l *Log) complain(err error) {
	if l.ctx.Err() != nil {
		return
	}
	switch failing, now := l.state.failures.about(err, time.Now()); {
	case now && failing:
		l.log.Warn("kafkalog: the cluster topic cannot be read; trying again", "topic", l.topic.name, "err", err)
	case now:
		l.log.Info("kafkalog: the cluster topic can be read again", "topic", l.topic.name)
	}
}

// complaints says when a failure that may go on is to be logged.
type complaints struct {
	last time.Time // of the complaint that stands; zero while all is well
}

// about returns whether to say something now, and whether that is of a failure.
func (c *complaints) about(err error, at time.Time) (failing, now bool) {
	switch {
	case err == nil && c.last.IsZero():
		return false, false
	case err == nil:
		c.last = time.Time{}
		return false, true
	case at.Sub(c.last) < complainEvery:
		return true, false
	}
	c.last = at
	return true, true
}
