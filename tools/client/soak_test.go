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
		stored := make(map[string]bool) // of the server's goroutine until it has ended
		served := make(chan struct{})
		go func() {
			defer close(served)
			random := rand.New(rand.NewPCG(1, 2))
			for p := range n.peers {
				serveBadly(t, p, random, stored, inFlight, perSecond)
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
		failed := 0
		for id, err := range outcome {
			switch err.(type) {
			case nil:
				if !stored[id] {
					t.Errorf("%s is said to be stored, and is not", id)
				}
			case *RejectedError:
				failed++
				if stored[id] {
					t.Errorf("%s is said to be rejected, and is stored", id)
				}
			case *UnknownError:
				failed++
			default:
				t.Errorf("%s: %v", id, err)
			}
		}
		if len(outcome) != senders*each || failed > senders*each/2 {
			t.Errorf("%d sends have an outcome, %d of them failed", len(outcome), failed)
		}
	})
}

// serveBadly answers the sends of one connection, in any order and any way, and ends it
// after a while.
func serveBadly(t *testing.T, p *peer, random *rand.Rand, stored map[string]bool, inFlight, perSecond uint32) {
	defer p.Close()
	p.lenient = true
	if p.readRequest(); p.request == nil {
		return
	}
	p.upgrade()
	p.welcome(codec.Welcome{Limits: codec.SessionLimits{InFlight: inFlight, SendsPerSecond: perSecond}})
	var waiting []string
	for range 20 + random.IntN(100) {
		p.SetReadDeadline(time.Now().Add(time.Second))
		f, err := p.readFrame()
		switch {
		case err == nil && !f.Header.OpCode.IsControl():
			var (
				d codec.Decoder
				c codec.ClientFrame
			)
			if err := d.Decode(p.enc, f.Payload, &codec.DefaultLimits, &c); err != nil {
				t.Error(err)
			}
			waiting = append(waiting, string(c.Send.ID))
			if len(waiting) > int(inFlight) {
				t.Errorf("%d sends are under way, want at most %d", len(waiting), inFlight)
			}
		case err == nil: // a close
			return
		case len(waiting) == 0:
			continue
		}
		for len(waiting) > 0 && random.IntN(2) == 0 {
			i := random.IntN(len(waiting))
			id := waiting[i]
			waiting = append(waiting[:i], waiting[i+1:]...)
			store := random.IntN(2) == 0
			stored[id] = stored[id] || store
			a := codec.Ack{ID: []byte(id), Status: backplane.Rejected, Code: backplane.CodeOverloaded}
			switch {
			case store && random.IntN(4) > 0:
				a = codec.Ack{ID: []byte(id), Status: backplane.Stored}
			case store || random.IntN(4) == 0:
				a = codec.Ack{ID: []byte(id), Status: backplane.Unknown, Code: backplane.CodeTimeout}
			case random.IntN(20) == 0:
				a.Code = backplane.CodeTooLarge
			}
			p.write(codec.AppendAck(nil, p.enc, &a))
		}
	}
}
