package codec

import (
	"bytes"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/godwit-im/godwit/backplane"
)

// The field numbers of HistoryPage in godwit.proto. Those of a Delivery in it are those
// of ServerFrame.
const (
	fieldPageID         protowire.Number = 1
	fieldPageCode       protowire.Number = 2
	fieldPageMessages   protowire.Number = 3
	fieldPageAfter      protowire.Number = 4
	fieldPageBefore     protowire.Number = 5
	fieldPageMoreAfter  protowire.Number = 6
	fieldPageMoreBefore protowire.Number = 7
	fieldPageGone       protowire.Number = 8
)

// HistoryPage answers a history request, as a client sees it.
type HistoryPage struct {
	ID   []byte
	Code backplane.Code // why the request was refused; empty if it was not
	// Messages are in the order of the timeline, the oldest first. They have no Seq.
	Messages []Deliver
	PageBounds
}

// PageBounds says where a page lies in the timeline.
type PageBounds struct {
	// After and Before are the cursors to go on with: After to what follows the page,
	// Before to what precedes it. A page without messages has them too.
	After, Before []byte
	// MoreAfter and MoreBefore tell that there may be more in that direction. False is
	// certain, for the time being.
	MoreAfter, MoreBefore bool
	// Gone is empty, or the cursor up to which, itself included, some of what was asked
	// for may be gone for good.
	Gone []byte
}

// PageWriter puts the frame of a history page together, message by message, out of the
// values of the log: Open, Add for each, Close. One goroutine owns it, and may use it
// for any number of pages. It allocates only when dst is too small.
type PageWriter struct {
	enc     Encoding
	dst     []byte
	mark    int
	message backplane.Message
}

// Open begins the page that answers the request with an id. The frame will be appended
// to dst.
func (w *PageWriter) Open(dst []byte, enc Encoding, id []byte) {
	w.enc, w.dst, w.mark = enc, dst, len(dst)
	if enc == Proto {
		w.dst = protoBytes(w.dst, fieldPageID, id)
		return
	}
	w.dst = jsonString(jsonOpen(w.dst, FrameHistoryPage), "id", id)
	w.dst = append(jsonName(w.dst, "messages"), '[')
}

// Add appends the next message, of the timeline of user: its position, its log time in
// Unix milliseconds, and value, the encoded message. Messages come oldest first. The
// error, backplane.ErrBadMessage, leaves the page as it was.
func (w *PageWriter) Add(user []byte, pos backplane.Position, time int64, value []byte) error {
	m := &w.message
	if err := backplane.ParseMessage(value, m); err != nil {
		return err
	}
	self := bytes.Equal(m.From, user)
	if w.enc == Proto {
		mark := len(w.dst)
		w.dst = protoBool(w.dst, fieldServerSelf, self)
		w.dst = AppendDeliverTail(w.dst, Proto, pos, time, m, value, true)
		w.dst = wrap(w.dst, mark, fieldPageMessages)
		return nil
	}
	if w.dst[len(w.dst)-1] != '[' {
		w.dst = append(w.dst, ',')
	}
	w.dst = append(w.dst, '{')
	if self {
		w.dst = append(w.dst, `"self":true,`...)
	}
	w.dst = AppendDeliverTail(w.dst, JSON, pos, time, m, value, true)
	return nil
}

// Close ends the page and returns dst with the whole frame appended. The writer keeps
// nothing of it.
func (w *PageWriter) Close(b *PageBounds) []byte {
	dst := w.dst
	w.dst, w.message = nil, backplane.Message{To: w.message.To[:0]}
	if w.enc == Proto {
		dst = protoBytes(dst, fieldPageAfter, b.After)
		dst = protoBytes(dst, fieldPageBefore, b.Before)
		dst = protoBool(dst, fieldPageMoreAfter, b.MoreAfter)
		dst = protoBool(dst, fieldPageMoreBefore, b.MoreBefore)
		dst = protoBytes(dst, fieldPageGone, b.Gone)
		return wrap(dst, w.mark, fieldServerHistoryPage)
	}
	dst = append(dst, ']')
	dst = jsonString(dst, "after", b.After)
	dst = jsonString(dst, "before", b.Before)
	dst = jsonBool(dst, "more_after", b.MoreAfter)
	dst = jsonBool(dst, "more_before", b.MoreBefore)
	if len(b.Gone) > 0 {
		dst = jsonString(dst, "gone", b.Gone)
	}
	return append(dst, '}')
}

// AppendPageRefusal appends the history page that refuses a request: it says why, and
// has nothing else.
func AppendPageRefusal(dst []byte, enc Encoding, id []byte, code backplane.Code) []byte {
	if enc == Proto {
		mark := len(dst)
		dst = protoBytes(dst, fieldPageID, id)
		dst = protoBytes(dst, fieldPageCode, code)
		return wrap(dst, mark, fieldServerHistoryPage)
	}
	dst = jsonString(jsonOpen(dst, FrameHistoryPage), "id", id)
	return append(jsonString(dst, "code", code), '}')
}

// next returns room for the next message of the page.
func (p *HistoryPage) next() (*Deliver, *Error) {
	n := len(p.Messages)
	switch {
	case n == MaxPage: // nobody can have asked for more
		return nil, refusal(CodeBadFrame, "more messages than a page has")
	case n < cap(p.Messages):
		p.Messages = p.Messages[:n+1]
	default:
		p.Messages = append(p.Messages, Deliver{})
	}
	d := &p.Messages[n]
	*d = Deliver{Message: backplane.Message{To: d.Message.To[:0]}}
	return d, nil
}

func (p *HistoryPage) decodeProto(payload []byte) *Error {
	return eachField(payload, func(num protowire.Number, v uint64, b []byte) *Error {
		switch num {
		case fieldPageID:
			p.ID = b
		case fieldPageCode:
			p.Code = codeOf(b)
		case fieldPageMessages:
			d, err := p.next()
			if err != nil {
				return err
			}
			return eachField(b, d.setProto)
		case fieldPageAfter:
			p.After = b
		case fieldPageBefore:
			p.Before = b
		case fieldPageMoreAfter:
			p.MoreAfter = v != 0
		case fieldPageMoreBefore:
			p.MoreBefore = v != 0
		case fieldPageGone:
			p.Gone = b
		}
		return nil
	})
}

func (p *HistoryPage) member(r *jsonReader, name []byte) (err *Error) {
	switch string(name) {
	case "id":
		p.ID, err = r.string()
	case "code":
		var text []byte
		text, err = r.string()
		p.Code = codeOf(text)
	case "messages":
		return p.jsonMessages(r)
	case "after":
		p.After, err = r.string()
	case "before":
		p.Before, err = r.string()
	case "more_after":
		p.MoreAfter, err = r.bool()
	case "more_before":
		p.MoreBefore, err = r.bool()
	case "gone":
		p.Gone, err = r.string()
	default:
		return r.skip()
	}
	return err
}

func (p *HistoryPage) jsonMessages(r *jsonReader) *Error {
	if err := r.token('[', "messages is not an array"); err != nil {
		return err
	}
	for r.kind() != ']' {
		d, err := p.next()
		if err != nil {
			return err
		}
		if err := r.object(func(name []byte) *Error { return d.member(r, name) }); err != nil {
			return err
		}
	}
	return r.token(']', "")
}
