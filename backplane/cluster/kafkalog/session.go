package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/godwit-im/godwit/backplane/cluster"
)

// Session is the right to write decisions to the cluster topic, for as long as nobody
// else takes it: whoever holds the transactional id <namespace>.controller.
//
// Any goroutine may call its methods; Commit and Settle run one at a time.
type Session struct {
	// Static.
	log    *Log
	client *kgo.Client

	mu      sync.Mutex // held by Commit and Settle
	settled bool       // guarded by mu: no decision hangs in the air
	over    bool       // guarded by mu: fenced
}

// Take takes the right to write decisions away from whoever has it: what that one has
// not committed is aborted, and its next Commit fails with ErrFenced. Take returns when
// all that was ever committed has been handed to the function that Open was given. It
// tries for 30 s, or until ctx ends; after an error the right may have been taken away
// all the same. ErrFenced says that somebody else took it at the same time.
func (l *Log) Take(ctx context.Context) (*Session, error) {
	if err := l.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := l.bound(ctx, takeTimeout)
	defer cancel()
	client, err := kgo.NewClient(append(clientOptions(&l.cfg, attemptTimeout),
		kgo.TransactionalID(TransactionalID(l.cfg.Namespace)),
		kgo.TransactionTimeout(transactionTimeout),
		kgo.ProduceRequestTimeout(attemptTimeout),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerBatchMaxBytes(maxBatch),
		kgo.MaxBufferedRecords(maxRecords+1),
	)...)
	if err != nil {
		return nil, fmt.Errorf("kafkalog: making the controller's client: %w", err)
	}
	s := &Session{log: l, client: client, settled: true}
	if err = s.identify(ctx); err == nil {
		err = l.Barrier(ctx)
	}
	if err != nil {
		client.Close()
		return nil, fmt.Errorf("kafkalog: taking %s: %w", TransactionalID(l.cfg.Namespace), l.ended(err))
	}
	return s, nil
}

// identify makes sure that the client has an id and an epoch that the brokers accept.
func (s *Session) identify(ctx context.Context) error {
	return s.log.topic.keepTrying(ctx, func(ctx context.Context) error {
		_, _, err := s.client.ProducerID(ctx)
		switch {
		case fenced(err):
			return ErrFenced
		case s.client.Context().Err() != nil:
			return ErrClosed
		}
		return err
	})
}

// Commit writes the records of one decision, all of them or none, and returns when that
// is so for good and they were handed to the function that Open was given, which
// therefore must not call it. It takes 4 s at most.
//
// ErrFenced ends the session. A *TopicError says that the topic is not to be trusted,
// and after it, as after a decision that is too large, nothing was written. With any
// other error it is not known whether the decision was made: Settle must follow.
func (s *Session) Commit(ctx context.Context, records []cluster.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over:
		return ErrFenced
	case !s.settled:
		return ErrUnsettled
	}
	if err := s.log.Err(); err != nil {
		return err
	}
	if err := check(records); err != nil {
		return err
	}
	if len(records) == 0 {
		return nil
	}
	ctx, cancel := s.log.bound(ctx, commitTimeout)
	defer cancel()
	s.settled = false
	err := s.transact(ctx, records)
	for errors.Is(err, errAborted) { // so it was not made, for certain
		err = s.transact(ctx, records)
	}
	if err != nil {
		return s.failed("committing a decision", err)
	}
	s.settled = true
	return nil
}

// transact is one transaction.
func (s *Session) transact(ctx context.Context, records []cluster.Record) error {
	// Begin would ask for an id with no bound of time, if it had to.
	if _, _, err := s.client.ProducerID(ctx); err != nil {
		return err
	}
	if err := s.client.BeginTransaction(); err != nil {
		return err
	}
	topic := s.log.topic.name
	type result struct {
		offset int64
		err    error
	}
	stored := make(chan result, len(records)) // never full: promises must not wait
	for _, r := range records {
		s.client.Produce(ctx, &kgo.Record{Topic: topic, Key: []byte(r.Key), Value: r.Value},
			func(r *kgo.Record, err error) { stored <- result{r.Offset, err} })
	}
	last := int64(-1)
	for range records {
		select {
		case r := <-stored:
			if r.err != nil {
				return r.err
			}
			last = max(last, r.offset)
		case <-ctx.Done(): // what is on its way is not taken back, so its promise may be late
			return ctx.Err()
		}
	}
	handedOut := s.log.decision(last)
	defer s.log.forget(last)
	if err := s.client.EndTransaction(ctx, kgo.TryCommit); err != nil {
		return err
	}
	// The client's word is not enough: v1.22.2 may abort its first transaction, when it has
	// not noticed that the produce succeeded, and say that all is well.
	select {
	case ok := <-handedOut:
		if !ok {
			return errAborted
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// decision has it told whether the record at an offset is handed out. forget must follow.
func (l *Log) decision(offset int64) <-chan bool {
	told := make(chan bool, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.decisions[offset] = told
	return told
}

func (l *Log) forget(offset int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.decisions, offset)
}

// Settle makes an end of a decision whose Commit failed: when it returns nil, the
// decision either was handed to the function that Open was given, as everything before
// it, or will never be. It tries for 10 s, or until ctx ends, and may be called again.
// ErrFenced ends the session.
func (s *Session) Settle(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return ErrFenced
	}
	if s.settled {
		return nil
	}
	ctx, cancel := s.log.bound(ctx, settleTimeout)
	defer cancel()
	err := s.client.AbortBufferedRecords(ctx)
	if err == nil {
		err = s.client.EndTransaction(ctx, kgo.TryAbort)
	}
	// The client may have answered that without asking anybody, and have left it to the
	// next use of the id to abort what is open. So the id is used here: where it was
	// doubtful, the brokers are asked to continue it, which they refuse if anybody else
	// has taken it.
	if err == nil {
		err = s.identify(ctx)
	}
	if err == nil {
		err = s.log.Barrier(ctx)
	}
	if err != nil {
		return s.failed("settling a decision", err)
	}
	s.settled = true
	return nil
}

// failed returns the error for what happened in a call. Callers hold mu.
func (s *Session) failed(what string, err error) error {
	if errors.Is(err, ErrFenced) || fenced(err) {
		s.over = true
		return ErrFenced
	}
	if s.client.Context().Err() != nil { // the client gives several errors for it
		err = ErrClosed
	}
	return fmt.Errorf("kafkalog: %s: %w", what, s.log.ended(err))
}

// fenced reports whether a broker says that an id, its epoch, or the transaction that
// is open under it is not this client's any more.
func fenced(err error) bool {
	for _, of := range []error{kerr.ProducerFenced, kerr.InvalidProducerEpoch, kerr.InvalidProducerIDMapping, kerr.InvalidTxnState} {
		if errors.Is(err, of) {
			return true
		}
	}
	return false
}

// Close gives the client back. What was not committed is aborted by whoever takes the
// right next, or by the brokers after a while. A Commit or Settle that is running ends.
func (s *Session) Close() { s.client.Close() }
