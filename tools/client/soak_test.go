package client

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// Many goroutines send through a server that does everything that it may: each send has
// the outcome that the server knows of, and none is forgotten.
func TestManySends(t *testing.T) {
	const senders, each, inFlight, perSecond = 20, 30, 12, 200
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		store := &stored{ids: make(map[string]bool)} // of the server's goroutine until it has ended
		served := make(chan struct{})
		go func() {
			defer close(served)
			random := rand.New(rand.NewPCG(1, 2))
			for p := range n.peers {
				serveBadly(t, p, random, store, inFlight, perSecond)
			}
		}()
		var (
			wait    sync.WaitGroup
			mu      sync.Mutex
			outcome = make(map[string]error)
		)
		for i := range senders {
			wait.Go(func() {
				for j := range each {
					id := fmt.Sprintf("m-%d-%d", i, j)
					_, err := u.Send(t.Context(), hello(id))
					mu.Lock()
					outcome[id] = err
					mu.Unlock()
				}
			})
		}
		wait.Wait()
		u.stop()
		<-u.ran
		close(n.peers) // ends the server: nobody dials any more
		<-served
		failed, found := 0, 0
		for id, err := range outcome {
			switch err := err.(type) {
			case nil:
				if !store.ids[id] {
					t.Errorf("%s is said to be stored, and is not", id)
				}
			case *RejectedError:
				failed++
				if store.ids[id] {
					t.Errorf("%s is said to be rejected, and is stored", id)
				}
			case *UnknownError:
				failed++
				if err.Found {
					found++
				}
				if err.Found && !store.ids[id] {
					t.Errorf("%s is said to be found, and is not stored", id)
				}
			default:
				t.Errorf("%s: %v", id, err)
			}
		}
		if found == 0 {
			t.Error("no message of which no ack was told was found")
		}
		if len(outcome) != senders*each || failed > senders*each/2 {
			t.Errorf("%d sends have an outcome, %d of them failed", len(outcome), failed)
		}
	})
}

// stored is what the server of the test has stored.
type stored struct {
	messages []*backplane.Message // by offset
	ids      map[string]bool
}

func (l *stored) add(f *codec.Send) {
	m := &backplane.Message{From: []byte("alice"), To: f.To, ID: f.ID, Body: f.Body}
	m.MessageID = backplane.Identify([]byte("phone"), m)
	l.messages = append(l.messages, m)
	l.ids[string(f.ID)] = true
}

// serveBadly answers the sends of one connection, in any order and any way, and ends it
// after a while.
func serveBadly(t *testing.T, p *peer, random *rand.Rand, store *stored, inFlight, perSecond uint32) {
	defer p.Close()
	p.lenient = true
	if p.readRequest(); p.request == nil {
		return
	}
	p.upgrade()
	p.welcome(codec.Welcome{
		Cursor: []byte(cursor(int64(len(store.messages)) - 1)),
		Limits: codec.SessionLimits{InFlight: inFlight, SendsPerSecond: perSecond},
	})
	var waiting []codec.ClientFrame
	for range 20 + random.IntN(100) {
		p.SetReadDeadline(time.Now().Add(time.Second))
		f, err := p.readFrame()
		switch {
		case err == nil && !f.Header.OpCode.IsControl():
			c := p.decode(f)
			if c.Type == codec.FramePing {
				p.write(codec.AppendPong(nil, p.enc))
				continue
			}
			waiting = append(waiting, c)
			if len(waiting) > int(inFlight) {
				t.Errorf("%d frames are under way, want at most %d", len(waiting), inFlight)
			}
		case err == nil: // a close
			return
		case len(waiting) == 0:
			continue
		}
		for len(waiting) > 0 && random.IntN(2) == 0 {
			i := random.IntN(len(waiting))
			frame := waiting[i]
			waiting = append(waiting[:i], waiting[i+1:]...)
			if frame.Type == codec.FrameHistory {
				answerBadly(p, random, store, &frame.History)
				continue
			}
			written := random.IntN(2) == 0
			if written {
				store.add(&frame.Send)
			}
			a := codec.Ack{ID: frame.Send.ID, Status: backplane.Rejected, Code: backplane.CodeOverloaded}
			switch {
			case written && random.IntN(4) > 0:
				a = codec.Ack{ID: frame.Send.ID, Status: backplane.Stored}
			case written || random.IntN(4) == 0:
				a = codec.Ack{ID: frame.Send.ID, Status: backplane.Unknown, Code: backplane.CodeTimeout}
			case random.IntN(20) == 0:
				a.Code = backplane.CodeTooLarge
			}
			p.write(codec.AppendAck(nil, p.enc, &a))
		}
	}
}

// answerBadly answers a request for a page, or says that it cannot.
func answerBadly(p *peer, random *rand.Rand, store *stored, h *codec.History) {
	if random.IntN(4) == 0 {
		p.write(codec.AppendPageRefusal(nil, p.enc, h.ID, codec.CodeHistoryDown))
		return
	}
	after, err := codec.ParseCursor(h.After)
	p.check(err)
	first := after.Offset + 1
	rest := store.messages[first:]
	n := min(len(rest), 10)
	p.page(h.ID, codec.PageBounds{After: []byte(cursor(first + int64(n) - 1)), MoreAfter: n < len(rest)}, first, rest[:n]...)
}
