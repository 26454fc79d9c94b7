package session

import (
	"fmt"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
	"github.com/godwit-im/godwit/server/delivery"
)

// ask asks for a page.
func (p *peer) ask(id string) {
	p.frame(codec.ClientFrame{Type: codec.FrameHistory, History: codec.History{ID: []byte(id)}})
}

// turn answers the first question, which is for a page, with one of so many bytes.
func (r *rig) turn(size int) {
	q := r.readings[0]
	r.readings = r.readings[1:]
	var page codec.PageWriter
	page.Open(nil, q.Encoding, q.History.ID)
	m := text("alice", q.User, string(make([]byte, size)))
	if err := page.Add([]byte(q.User), backplane.Position{Generation: 1, Partition: q.Partition}, r.loop.Now, backplane.AppendMessage(nil, m)); err != nil {
		r.t.Fatal(err)
	}
	q.Page = delivery.Raw(r.deps.Memory, ws.AppendFrame(nil, ws.Binary, page.Close(&codec.PageBounds{})))
	q.Done()
	r.takeAnswers()
}

// TestPagesNotRead: who asks for pages and does not read them makes the node hold a few, not
// as many as answers may be coming; the others are refused, and may be asked for again.
func TestPagesNotRead(t *testing.T) {
	const asked, size = 50, 4000
	r := newRig(t, func(c *Config) { c.InFlight = 2 * asked })
	p := r.connect("bob", codec.Proto)
	p.blocked = true
	for i := range asked {
		p.ask(fmt.Sprint(i))
		if i%2 == 0 && len(r.readings) > 0 {
			r.turn(size)
		}
	}
	for len(r.readings) > 0 {
		r.turn(size)
	}
	if used := r.deps.Memory.Used(); used > asked*size {
		t.Errorf("%d bytes are held for a client that reads nothing", used)
	}
	p.blocked = false
	p.pump()
	pages, refused := 0, 0
	for range asked {
		switch f := p.want(codec.FrameHistoryPage); f.HistoryPage.Code {
		case "":
			pages++
		case backplane.CodeOverloaded:
			refused++
		default:
			t.Errorf("refused: %s", f.HistoryPage.Code)
		}
	}
	if pages != maxPages || pages+refused != asked {
		t.Errorf("%d pages, %d refused; want %d pages of %d", pages, refused, maxPages, asked)
	}

	p.ask("again")
	if len(r.readings) != 1 {
		t.Fatal("what was written does not make room for more")
	}
	r.fail(codec.CodeHistoryDown)
	p.want(codec.FrameHistoryPage)
	for range maxPages + 1 { // and a refusal does, too
		p.ask("again")
		r.turn(size)
		if f := p.want(codec.FrameHistoryPage); f.HistoryPage.Code != "" {
			t.Errorf("refused: %s", f.HistoryPage.Code)
		}
	}
	if p.s.answers != 0 || p.s.pages != 0 {
		t.Errorf("%d answers and %d pages are counted", p.s.answers, p.s.pages)
	}
}

// TestPagesOverBudget: a node that holds more than its budget reads no pages.
func TestPagesOverBudget(t *testing.T) {
	r := newRig(t)
	p := r.connect("bob", codec.JSON)
	over := int(r.deps.Memory.Max()) + 1
	r.deps.Memory.Add(over)
	p.ask("h1")
	if f := p.want(codec.FrameHistoryPage); f.HistoryPage.Code != backplane.CodeOverloaded || len(r.readings) != 0 {
		t.Errorf("code %q, %d readings", f.HistoryPage.Code, len(r.readings))
	}
	r.deps.Memory.Add(-over)
	p.ask("h2")
	if len(r.readings) != 1 {
		t.Error("it is not read although there is room again")
	}
	r.fail(codec.CodeHistoryDown)
}
