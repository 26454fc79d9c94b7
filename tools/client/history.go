package client

import (
	"context"
	"errors"
	"unicode/utf8"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// Query says which part of the user's timeline to read. The zero Query reads the newest
// messages.
type Query struct {
	// After, Before and Around are cursors; empty is none. After gives the messages that
	// follow it and Before those that precede it, those nearest to the cursor first, and
	// the message at the cursor itself not among them. Both give what lies between,
	// nearest to After first. Around stands alone and gives what lies on either side of it,
	// and the message at the cursor itself.
	After, Before, Around string
	// Limit is the most messages, at most codec.MaxPage; 0 is codec.DefaultPage.
	Limit int
	// Peer is the other user of the conversation to read; empty for all.
	Peer string
}

// Page is a part of the timeline.
type Page struct {
	// Messages are in the order of the timeline, the oldest first. There may be fewer
	// than the limit though there are more. Signals, what has expired and what was
	// erased are not among them.
	Messages []Message
	// After and Before are the cursors to go on with, in a Query that is otherwise the
	// same: After to what follows the page, Before to what precedes it. A page without
	// messages has them too.
	After, Before string
	// MoreAfter and MoreBefore tell that there may be more in that direction, between After
	// and Before of the Query if both are given. False is certain, for the time being.
	MoreAfter, MoreBefore bool
	// Gone is empty, or the cursor up to which, itself included, some of what was asked
	// for may be gone for good.
	Gone string
}

// HistoryError says why the server did not answer a Query with a page.
type HistoryError struct{ Code backplane.Code }

func (e *HistoryError) Error() string { return "client: history refused: " + describe(e.Code) }

// Retryable reports whether the same Query may be answered later.
func (e *HistoryError) Retryable() bool { return codec.Retryable(e.Code) }

// History reads a part of the user's timeline. It waits for a connection as long as ctx
// allows, and asks again on the next one if the connection is lost. Where the server
// refuses, the error is a *HistoryError; where ctx has ended or the Client is closed, it is
// or wraps the cause.
//
// Pages are apart from the stream of messages: they move no cursor, and OnMessage is told
// nothing of them.
//
// Any goroutine may call it, also before Run.
func (c *Client) History(ctx context.Context, q Query) (Page, error) {
	if code := q.wrong(); code != "" {
		return Page{}, &HistoryError{code}
	}
	for {
		k, err := c.connected(ctx)
		if err != nil {
			return Page{}, err
		}
		a, err := k.ask(ctx, &q)
		switch {
		case errors.Is(err, errLost):
			continue // reading changes nothing
		case err != nil:
			return Page{}, err
		case a.code != "":
			return Page{}, &HistoryError{a.code}
		}
		return a.page, nil
	}
}

// wrong returns the code with which every server would refuse the query, empty if it is
// all right. Invalid UTF-8 must not get as far as the encoder.
func (q *Query) wrong() backplane.Code {
	for _, cursor := range []string{q.After, q.Before, q.Around} {
		if len(cursor) > codec.MaxCursor || !utf8.ValidString(cursor) {
			return codec.CodeBadCursor
		}
	}
	switch {
	case q.Around != "" && q.After+q.Before != "":
		return codec.CodeBadCursor
	case q.Limit < 0 || q.Limit > codec.MaxPage:
		return codec.CodeBadLimit
	case q.Peer != "" && backplane.ValidUser([]byte(q.Peer)) != nil:
		return codec.CodeBadPeer
	}
	return ""
}

// ask is a query on one connection. Like an attempt it holds a slot until its answer
// comes, and one for pages.
type ask struct {
	done chan struct{} // closed when there is an answer

	// Written before done is closed.
	page Page
	code backplane.Code
}

// ask asks for a page and waits for the answer. The error is errLost or the context's
// cause.
func (k *conn) ask(ctx context.Context, q *Query) (*ask, error) {
	if err := k.take(ctx, k.pages); err != nil {
		return nil, err
	}
	if err := k.reserve(ctx); err != nil {
		<-k.pages
		return nil, err
	}
	id, a := randomID(), &ask{done: make(chan struct{})}
	k.mu.Lock()
	closed := k.closed
	if !closed {
		k.asks[id] = a
		k.awaited()
	}
	k.mu.Unlock()
	if closed {
		<-k.slots
		<-k.pages
		return nil, errLost
	}
	k.submit(k.message(&codec.ClientFrame{Type: codec.FrameHistory, History: codec.History{
		ID: []byte(id), After: []byte(q.After), Before: []byte(q.Before), Around: []byte(q.Around),
		Limit: q.Limit, Peer: []byte(q.Peer),
	}}))
	return a, k.awaitDone(ctx, a.done)
}

// answered takes a page. The reading goroutine calls it.
func (k *conn) answered(f *codec.HistoryPage) {
	k.mu.Lock()
	a := k.asks[string(f.ID)]
	delete(k.asks, string(f.ID))
	k.mu.Unlock()
	if a == nil {
		return
	}
	if a.code = f.Code; a.code == "" {
		a.page = pageOf(f)
	}
	close(a.done)
	<-k.slots
	<-k.pages
}

// pageOf copies a page out of the frame it was read in.
func pageOf(f *codec.HistoryPage) Page {
	p := Page{
		Messages: make([]Message, len(f.Messages)),
		After:    string(f.After), Before: string(f.Before),
		MoreAfter: f.MoreAfter, MoreBefore: f.MoreBefore, Gone: string(f.Gone),
	}
	for i := range f.Messages {
		p.Messages[i] = messageOf(&f.Messages[i])
	}
	return p
}

// find reports whether a message with an id is in the user's timeline, in the
// conversation with a peer after a cursor. False also stands for not knowing.
func (c *Client) find(ctx context.Context, id backplane.MessageID, peer, after string) bool {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	for {
		p, err := c.History(ctx, Query{After: after, Peer: peer, Limit: codec.MaxPage})
		refused := (*HistoryError)(nil)
		switch {
		case err == nil:
		case errors.As(err, &refused) && refused.Retryable() && sleep(ctx, lookPause) == nil:
			continue
		default:
			return false
		}
		for i := range p.Messages {
			if p.Messages[i].MessageID == id {
				return true
			}
		}
		if !p.MoreAfter || p.After == after {
			return false
		}
		after = p.After
	}
}
