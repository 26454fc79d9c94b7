package codec

import "github.com/godwit-im/godwit/backplane"

// History asks for a part of the user's timeline. Its answer is one history page with
// the same id, which says why if it has no messages to give.
//
// After, Before and Around are cursors; empty is none:
//
//	none              the newest messages
//	After             the messages that follow it, those nearest to it first
//	Before            the messages that precede it, those nearest to it first
//	After and Before  the messages between them, those nearest to After first
//	Around            the messages on either side of it, and that of the cursor itself
//
// What a Decoder gives keeps these rules, and each cursor is one; whether it is of the
// user's partition is for ResolveCursor.
type History struct {
	ID     []byte // 1 to backplane.MaxClientID bytes of UTF-8
	After  []byte // exclusive
	Before []byte // exclusive
	Around []byte
	// Limit is the most messages, 1 to MaxPage. A Decoder gives DefaultPage where the
	// client names none.
	Limit int
	// Peer is the other user of the conversation asked for; empty for all.
	Peer []byte
}

// checkCursor checks a cursor of a history request.
func checkCursor(cursor []byte, name string) *Error {
	if len(cursor) == 0 {
		return nil
	}
	if _, err := ParseCursor(cursor); err != nil {
		return refusal(CodeBadCursor, name)
	}
	return nil
}

// setLimit takes the limit of a history request.
func (h *History) setLimit(n uint64) *Error {
	if n > MaxPage {
		return refusal(CodeBadLimit, "")
	}
	h.Limit = int(n)
	return nil
}

// checkPeer checks the peer of a history request.
func checkPeer(peer []byte) *Error {
	if len(peer) == 0 {
		return nil
	}
	if err := backplane.ValidUser(peer); err != nil {
		return refusal(CodeBadPeer, err.Error())
	}
	return nil
}

// finishHistory checks what a history request must have and hands it over.
func (d *Decoder) finishHistory(h *History) *Error {
	if d.id == nil {
		return refusal(CodeBadID, "")
	}
	if len(h.Around) > 0 && len(h.After)+len(h.Before) > 0 {
		return refusal(CodeBadCursor, "around stands beside another")
	}
	if h.Limit == 0 {
		h.Limit = DefaultPage
	}
	h.ID = d.id
	return nil
}
