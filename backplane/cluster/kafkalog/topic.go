package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/godwit-im/godwit/backplane/kafka"
)

// topic asks for, reads and writes a topic of one partition with requests of its own:
// each is tried once, by a deadline, so that it is known when something fails and
// nothing is repeated behind anybody's back. Any goroutine may use it.
type topic struct {
	// Static.
	client       *kgo.Client
	name         string
	acks         kgo.Acks
	decompressor kgo.Decompressor

	mu    sync.Mutex
	known bool  // guarded by mu: place is believed
	place place // guarded by mu
}

// place is which topic has the name, and who leads it.
type place struct {
	id     [16]byte // what Kafka gives to each topic that is made; zero before the first answer
	leader int32
}

// newTopic returns a topic with a client of its own. timeout bounds each request,
// beyond the time that the request gives the broker.
func newTopic(cfg *kafka.Config, name string, acks kgo.Acks, timeout time.Duration) (*topic, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	options := append(clientOptions(cfg, timeout), kgo.RequiredAcks(acks))
	if acks != kgo.AllISRAcks() {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, fmt.Errorf("kafkalog: making a client: %w", err)
	}
	return &topic{client: client, name: name, acks: acks, decompressor: kgo.DefaultDecompressor()}, nil
}

// clientOptions returns the options of every client of this package.
func clientOptions(cfg *kafka.Config, timeout time.Duration) []kgo.Opt {
	quick := *cfg
	quick.DialTimeout = min(quick.DialTimeout, attemptTimeout)
	return append(quick.ClientOptions(),
		kgo.RequestTimeoutOverhead(timeout),
		kgo.RetryTimeout(2*attemptTimeout),
		kgo.RetryBackoffFn(func(int) time.Duration { return retryPause }),
	)
}

// find returns the place, and asks for it if it is not believed. The error is
// ErrReplaced, in a *TopicError, if the topic is not the one that was there at first.
func (t *topic) find(ctx context.Context) (place, error) {
	t.mu.Lock()
	known, p := t.known, t.place
	t.mu.Unlock()
	if known {
		return p, nil
	}
	now, err := t.ask(ctx)
	if err != nil {
		return place{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.place.id != [16]byte{} && t.place.id != now.id {
		return place{}, &TopicError{Topic: t.name, Err: ErrReplaced}
	}
	t.known, t.place = true, now
	return now, nil
}

// forget has the place asked for again.
func (t *topic) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known = false
}

// adopt accepts whatever topic has the name now.
func (t *topic) adopt() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known, t.place = false, place{}
}

// ask asks for metadata.
func (t *topic) ask(ctx context.Context) (place, error) {
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = &t.name
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, t.client)
	switch {
	case err != nil:
		return place{}, err
	case len(resp.Topics) != 1:
		return place{}, kerr.UnknownTopicOrPartition
	}
	found := &resp.Topics[0]
	if err := kerr.ErrorForCode(found.ErrorCode); err != nil {
		return place{}, err
	}
	for _, p := range found.Partitions {
		if p.Partition != 0 {
			continue
		}
		if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
			return place{}, err
		}
		return place{id: found.TopicID, leader: p.Leader}, nil
	}
	return place{}, kerr.UnknownTopicOrPartition
}

// request sends a request to the leader. Any failure makes the place doubtful.
func (t *topic) request(ctx context.Context, build func(place) kmsg.Request) (kmsg.Response, error) {
	p, err := t.find(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := t.client.Broker(int(p.leader)).Request(ctx, build(p))
	if err != nil {
		t.forget()
		return nil, err
	}
	return resp, nil
}

// passes reports whether an error may be gone when the same is tried again.
func passes(err error) bool {
	if _, ok := errors.AsType[*TopicError](err); ok || errors.Is(err, ErrClosed) || errors.Is(err, ErrFenced) {
		return false
	}
	ke, ok := errors.AsType[*kerr.Error](err)
	return !ok || ke.Retriable
}

// keepTrying calls f until it succeeds, fails for good, or ctx ends. Each call has
// attemptTimeout twice over, for finding the leader and for asking it.
func (t *topic) keepTrying(ctx context.Context, f func(context.Context) error) error {
	var why error // of the last attempt that came to its end
	for {
		err := once(ctx, f)
		if err != nil && why != nil && ctx.Err() != nil {
			err = why // the time was over in the middle of an attempt
		}
		why = err
		switch {
		case err == nil || !passes(err):
			return err
		case t.client.Context().Err() != nil: // the client gives several errors for it
			return ErrClosed
		}
		if !pause(ctx) {
			return err
		}
	}
}

func once(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 2*attemptTimeout)
	defer cancel()
	return f(ctx)
}

// pause waits for retryPause and reports whether ctx has not ended meanwhile.
func pause(ctx context.Context) bool {
	select {
	case <-time.After(retryPause):
		return true
	case <-ctx.Done():
		return false
	}
}
