package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/admin"
	"github.com/godwit-im/godwit/server/placement"
	"github.com/godwit-im/godwit/server/session"
	"github.com/godwit-im/godwit/server/tail"
)

// timelines answers what operators ask about timelines at the admin port. It is
// admin.Timelines for the users whom this node serves.
type timelines struct {
	readings  *readings
	producer  *kafka.Producer
	reader    *kafka.Reader
	tails     *tail.Tails
	placement *placement.Current
	ready     func() error
}

var _ admin.Timelines = (*timelines)(nil)

// pageHead begins a history page in JSON without an id.
const pageHead = `{"type":"history_page","id":"",`

// Page implements admin.Timelines.
func (t *timelines) Page(ctx context.Context, user []byte, h *codec.History) ([]byte, error) {
	p, err := t.own(user)
	if err != nil {
		return nil, err
	}
	h.ID = nil
	r, code := session.NewPage(h, t.readings.generation, p)
	if code != "" {
		return nil, &admin.Refusal{Code: code}
	}
	r.User, r.Encoding = string(user), codec.JSON
	payload, err := t.readings.payload(ctx, r)
	if err != nil {
		return nil, &admin.Refusal{Code: codeOf(err), Message: err.Error()}
	}
	return append([]byte{'{'}, bytes.TrimPrefix(payload, []byte(pageHead))...), nil
}

// own returns the partition of a user, or the refusal of a node that does not serve it,
// or not yet.
func (t *timelines) own(user []byte) (backplane.Partition, error) {
	place := t.placement.Load()
	p, node, url := place.Lookup(string(user))
	if !place.Local(p) {
		return 0, &admin.Refusal{
			Code: codec.CodeNotOwner, OwnerURL: url, Message: fmt.Sprintf("node %q serves this user: ask its admin port", node),
		}
	}
	if err := t.ready(); err != nil {
		return 0, &admin.Refusal{Code: codec.CodeNotReady, Message: err.Error()}
	}
	return p, nil
}

// Erase implements admin.Timelines. The erasure is a message that the user sends to
// nobody, and so a record in the user's partition. It takes effect here when this node reads
// it back, which is why it is this node that is asked.
func (t *timelines) Erase(ctx context.Context, user []byte) (admin.Erasure, error) {
	p, err := t.own(user)
	if err != nil {
		return admin.Erasure{}, err
	}
	if !t.readings.timelines.KeepsHistory() {
		return admin.Erasure{}, &admin.Refusal{Code: codec.CodeNoHistory, Message: "a node without history cannot promise that what is erased stays hidden"}
	}
	ctx, cancel := context.WithTimeout(ctx, eraseTimeout)
	defer cancel()
	retention, err := t.reader.Retention(ctx)
	if err != nil {
		return admin.Erasure{}, &admin.Refusal{Code: codec.CodeHistoryDown, Message: err.Error()}
	}
	outcome, err := t.writeErasure(ctx, user)
	if err != nil {
		return admin.Erasure{}, err
	}
	if err := t.readBack(ctx, p); err != nil {
		return admin.Erasure{}, &admin.Refusal{
			Code: backplane.CodeTimeout, Unknown: true,
			Message: "the erasure is stored, and takes effect when this node reads it, which it has not yet: " + err.Error(),
		}
	}
	return admin.Erasure{User: string(user), Partition: p, Time: outcome.Time, LogRetentionMS: retention.Milliseconds()}, nil
}

// writeErasure stores the record of an erasure.
func (t *timelines) writeErasure(ctx context.Context, user []byte) (backplane.Outcome, error) {
	m := backplane.Message{From: user, ID: []byte(rand.Text()), Kind: backplane.KindErase}
	m.MessageID = backplane.Identify(nil, &m)
	done := make(outcomes, 1)
	err := t.producer.Produce(&backplane.Send{ID: m.MessageID, From: m.From, Value: backplane.AppendMessage(nil, &m)}, done)
	if err != nil {
		refusal := &admin.Refusal{Code: backplane.CodeOverloaded, Message: err.Error()}
		if e := (*backplane.Rejection)(nil); errors.As(err, &e) {
			refusal.Code = e.Code
		}
		return backplane.Outcome{}, refusal
	}
	select {
	case o := <-done:
		if o.Status != backplane.Stored {
			return o, &admin.Refusal{Code: o.Code, Unknown: o.Status == backplane.Unknown}
		}
		return o, nil
	case <-ctx.Done():
		return backplane.Outcome{}, &admin.Refusal{Code: backplane.CodeTimeout, Unknown: true}
	}
}

// readBack returns when the tail has everything that the log has now.
func (t *timelines) readBack(ctx context.Context, p backplane.Partition) error {
	_, end, err := t.reader.Bounds(ctx, p)
	if err != nil {
		return err
	}
	look := time.NewTicker(readBackPause)
	defer look.Stop()
	for t.tails.Partition(p).End() < end-1 {
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// outcomes takes the one outcome of a send, for which it has room. It is a backplane.Waiter.
type outcomes chan backplane.Outcome

// Done implements backplane.Waiter.
func (c outcomes) Done(o backplane.Outcome) { c <- o }
