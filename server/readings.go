package server

import (
	"context"
	"errors"
	"math"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
	"github.com/godwit-im/godwit/server/delivery"
	"github.com/godwit-im/godwit/server/session"
	"github.com/godwit-im/godwit/server/timeline"
)

// readings answers what sessions ask about timelines, on the goroutines of a readPool:
// it asks the timelines, and makes of the answer what goes to the client, so that
// loops have little left to do.
type readings struct {
	timelines  *timeline.Service
	memory     *delivery.Memory
	generation uint32
}

// answer works a question out, and hands it back.
func (w *readings) answer(ctx context.Context, r *session.Reading) {
	defer r.Done()
	var err error
	switch r.Kind {
	case session.ReadResume:
		err = w.resume(ctx, r)
	case session.ReadLast:
		r.After, err = w.timelines.Last(ctx, []byte(r.User), r.Partition, r.Limit)
	case session.ReadNext:
		err = w.next(ctx, r)
	case session.ReadPage:
		err = w.page(ctx, r)
	}
	if err != nil {
		r.Code = codeOf(err)
	}
}

// codeOf returns what a client is told of a failed read.
func codeOf(err error) backplane.Code {
	e := (*timeline.Error)(nil)
	if !errors.As(err, &e) {
		return codec.CodeHistoryDown
	}
	switch e.Code {
	case timeline.HistoryBehind:
		return codec.CodeHistoryBehind
	case timeline.NoHistory:
		return codec.CodeNoHistory
	case timeline.Closed:
		return backplane.CodeShutdown
	}
	return codec.CodeHistoryDown
}

func (w *readings) resume(ctx context.Context, r *session.Reading) error {
	found, err := w.timelines.Resolve(ctx, []byte(r.User), r.Partition, r.After)
	if err != nil {
		return err
	}
	if found.Future {
		r.Code = codec.CodeUnknownCursor
	}
	r.Gone = found.Gone
	return nil
}

func (w *readings) next(ctx context.Context, r *session.Reading) error {
	found, err := w.timelines.Forward(ctx, []byte(r.User), r.Partition, r.After, r.Limit, r.Bytes)
	if err != nil {
		return err
	}
	r.Examined, r.Live, r.Gone = found.Examined, found.Live, found.Gone
	r.Caught = make([]session.Caught, 0, len(found.Entries))
	var m backplane.Message
	for i := range found.Entries {
		e := &found.Entries[i]
		if err := backplane.ParseMessage(e.Value, &m); err != nil {
			r.Release()
			return err
		}
		r.Caught = append(r.Caught, session.Caught{
			Frame: delivery.Single(w.memory, r.Encoding, w.at(r, e.Offset), e.Time, &m, e.Value),
			Self:  string(m.From) == r.User,
		})
	}
	return nil
}

// at returns the position of an offset in the partition that is read.
func (w *readings) at(r *session.Reading, offset int64) backplane.Position {
	return backplane.Position{Generation: w.generation, Partition: r.Partition, Offset: offset}
}

func (w *readings) page(ctx context.Context, r *session.Reading) error {
	payload, err := w.payload(ctx, r)
	if err != nil {
		return err
	}
	op := ws.Binary
	if r.Encoding.Text() {
		op = ws.Text
	}
	r.Page = delivery.Raw(w.memory, ws.AppendFrame(nil, op, payload))
	return nil
}

// payload returns the history page that r asks for.
func (w *readings) payload(ctx context.Context, r *session.Reading) ([]byte, error) {
	p, err := w.find(ctx, r)
	if err != nil {
		return nil, err
	}
	var page codec.PageWriter
	page.Open(nil, r.Encoding, r.History.ID)
	for i := range p.Entries {
		e := &p.Entries[i]
		if err := page.Add([]byte(r.User), w.at(r, e.Offset), e.Time, e.Value); err != nil {
			return nil, err
		}
	}
	bounds := codec.PageBounds{
		After: codec.AppendCursor(nil, w.at(r, p.After)), Before: codec.AppendCursor(nil, w.at(r, p.Before)),
		MoreAfter: p.MoreAfter, MoreBefore: p.MoreBefore,
	}
	if p.Gone >= 0 {
		bounds.Gone = codec.AppendCursor(nil, w.at(r, p.Gone))
	}
	return page.Close(&bounds), nil
}

// find reads the part of the timeline that a page is to have; see codec.History.
func (w *readings) find(ctx context.Context, r *session.Reading) (timeline.Page, error) {
	user, h := []byte(r.User), r.History
	switch {
	case len(h.Around) > 0:
		return w.timelines.Around(ctx, user, r.Partition, r.Around, r.Limit, h.Peer, r.Bytes)
	case len(h.After) > 0 && len(h.Before) > 0:
		return w.between(ctx, r)
	case len(h.After) > 0:
		return w.timelines.After(ctx, user, r.Partition, r.After, r.Limit, h.Peer, r.Bytes)
	case len(h.Before) > 0:
		return w.timelines.Backward(ctx, user, r.Partition, r.Before, r.Limit, h.Peer, r.Bytes)
	}
	return w.timelines.Backward(ctx, user, r.Partition, math.MaxInt64, r.Limit, h.Peer, r.Bytes)
}

// between reads what follows After, and leaves out what does not precede Before.
func (w *readings) between(ctx context.Context, r *session.Reading) (timeline.Page, error) {
	p, err := w.timelines.After(ctx, []byte(r.User), r.Partition, r.After, r.Limit, r.History.Peer, r.Bytes)
	if err != nil {
		return p, err
	}
	for i := range p.Entries {
		if p.Entries[i].Offset >= r.Before {
			p.Entries = p.Entries[:i]
			break
		}
	}
	if p.After >= r.Before-1 {
		p.After, p.MoreAfter = r.Before-1, false
	}
	if p.Gone = min(p.Gone, r.Before-1); p.Gone <= r.After {
		p.Gone = -1
	}
	return p, nil
}
