package client

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gobwas "github.com/gobwas/ws"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

func TestMessage(t *testing.T) {
	for _, json := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			n := newNode(t)
			var got Message
			u := start(t, n, func(o *Options) {
				o.JSON = json
				o.OnMessage = func(m Message) { got = m }
			})
			p := n.welcome(codec.Welcome{})
			m := backplane.Message{
				MessageID: backplane.MessageID{7}, From: []byte("alice"), To: [][]byte{[]byte("bob"), []byte("carol")},
				ID: []byte("m1"), Kind: backplane.KindSignal, Body: []byte("hi"),
			}
			at := backplane.Position{Generation: 1, Partition: 2, Offset: 3}
			p.write(append(codec.AppendDeliverHead(nil, p.enc, 1, true),
				codec.AppendDeliverTail(nil, p.enc, at, 1_767_225_600_123, &m, backplane.AppendMessage(nil, &m), true)...))
			synctest.Wait()
			want := Message{
				MessageID: backplane.MessageID{7}, From: "alice", To: []string{"bob", "carol"}, ID: "m1", Kind: backplane.KindSignal,
				Body: []byte("hi"), Time: time.UnixMilli(1_767_225_600_123), Self: true, Seq: 1, Cursor: string(codec.AppendCursor(nil, at)),
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("the message is %+v, want %+v", got, want)
			}
			u.leave(p)
		})
	}
}

func TestOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		p := n.welcome(codec.Welcome{})
		u.told()
		p.deliver(1, "a")
		p.deliver(2, "b")
		p.write(codec.AppendGap(nil, p.enc, &codec.Gap{FromSeq: 3, ToSeq: 9, Reason: codec.GapOutboxFull, After: []byte("x"), Before: []byte("y")}))
		p.deliver(10, "c")
		p.write(codec.AppendHeartbeat(nil, p.enc, &codec.Heartbeat{Seq: 10, Cursor: []byte("z")}))
		p.write([]byte{0xfa, 0x7f, 1, 'x'}) // a frame of a newer server
		p.deliver(11, "d")
		p.Close()
		p = n.welcome(codec.Welcome{})
		p.deliver(1, "e")
		url := "ws://node-1:8080/v1/connect"
		want := []string{
			"message 1 a", "message 2 b", "gap 3-9 outbox_full", "message 10 c", "message 11 d",
			"disconnected " + url, "connecting " + url, "connected " + url, "message 1 e",
		}
		if got := u.told(); !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
		u.leave(p)
	})
}

func TestSequence(t *testing.T) {
	gap := func(from, to uint64) func(*peer) {
		return func(p *peer) {
			p.write(codec.AppendGap(nil, p.enc, &codec.Gap{FromSeq: from, ToSeq: to, Reason: codec.GapOutboxFull}))
		}
	}
	heartbeat := func(seq uint64) func(*peer) {
		return func(p *peer) { p.write(codec.AppendHeartbeat(nil, p.enc, &codec.Heartbeat{Seq: seq})) }
	}
	deliver := func(seq uint64) func(*peer) { return func(p *peer) { p.deliver(seq, "") } }
	for _, test := range []struct {
		name  string
		parts []func(*peer) // after delivery 1
		want  string
	}{
		{"all told", []func(*peer){heartbeat(1), gap(2, 3), heartbeat(3), deliver(4)}, ""},
		{"a hole", []func(*peer){deliver(4), deliver(5)}, "2 4 "},
		{"again", []func(*peer){deliver(1), deliver(2)}, "2 1 "},
		{"a hole before a gap", []func(*peer){gap(3, 5), deliver(6)}, "2 3 "},
		{"a gap over what came", []func(*peer){gap(1, 5), deliver(6)}, "2 1 "},
		{"a gap turned round", []func(*peer){gap(2, 0)}, "2 2 "},
		{"a hole at the end", []func(*peer){heartbeat(3), deliver(4)}, "2 4 "},
		{"the end of numbers", []func(*peer){heartbeat(math.MaxUint64)}, "2 0 "},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNode(t)
				u := start(t, n, nil)
				p := n.welcome(codec.Welcome{})
				p.deliver(1, "")
				for _, part := range test.parts {
					part(p)
				}
				synctest.Wait()
				got := ""
				for _, err := range u.errs {
					var e *SequenceError
					if !errors.As(err, &e) {
						t.Fatal(err)
					}
					got += fmt.Sprintf("%d %d ", e.Want, e.Got)
				}
				if got != test.want {
					t.Errorf("the errors are %q, want %q", got, test.want)
				}
				u.leave(p)
			})
		})
	}
}

// A slow callback must slow down the server, not fill the client's memory.
func TestBackpressure(t *testing.T) {
	for _, test := range []struct {
		name string
		body int
		most int // messages that the client takes
	}{
		{"many", 1, queueEvents + readBuffer/40},
		{"large", 60 << 10, queueBytes/(60<<10) + 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNode(t)
				var (
					release = make(chan struct{})
					seqs    []uint64
				)
				u := start(t, n, func(o *Options) {
					o.OnMessage = func(m Message) {
						<-release
						seqs = append(seqs, m.Seq)
					}
				})
				p := n.welcome(codec.Welcome{})
				const count = 2000
				written := 0
				done := make(chan struct{})
				go func() {
					defer close(done)
					body := strings.Repeat("x", test.body)
					for i := range count {
						p.deliver(uint64(i+1), body)
						written++
					}
				}()
				synctest.Wait()
				if written > test.most || written < 10 {
					t.Errorf("the client took %d messages that nobody reads, want at most %d", written, test.most)
				}
				// Silence that the client itself causes does not count.
				time.Sleep(10 * time.Minute)
				close(release)
				<-done
				synctest.Wait()
				if len(seqs) != count || !slices.IsSorted(seqs) || len(u.errs) > 0 || len(u.ended) > 0 {
					t.Errorf("%d messages came, with the errors %v and the ends %v", len(seqs), u.errs, u.ended)
				}
				u.leave(p)
			})
		})
	}
}

// A socket that takes nothing ends the connection, though the server may go on writing.
func TestServerDoesNotRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		p := n.welcome(codec.Welcome{})
		synctest.Wait()
		sent := u.send(t.Context(), hello("m1"))
		d := took(func() {
			for u.current() != nil {
				p.Write(gobwas.MustCompileFrame(gobwas.NewPongFrame(nil)))
				time.Sleep(time.Second)
			}
		})
		if d < writeTimeout || d > writeTimeout+time.Second {
			t.Errorf("the client gave up after %v", d)
		}
		if s := u.lastEnd(); !strings.Contains(s.Err.Error(), "takes nothing") {
			t.Errorf("the error is %v", s.Err)
		}
		p = n.welcome(codec.Welcome{})
		p.ack(p.readSend(), backplane.Stored, "")
		if r := <-sent; r.err != nil {
			t.Error(r.err)
		}
		u.leave(p)
	})
}

func TestServerBreaksTheProtocol(t *testing.T) {
	for _, test := range []struct {
		name string
		part func(*peer)
		code uint16
	}{
		{"no frame", func(p *peer) { p.write([]byte{0xff}) }, 1002},
		{"text on protobuf", func(p *peer) { p.writeFrame(gobwas.NewTextFrame([]byte("{}"))) }, 1002},
		{"a second welcome", func(p *peer) { p.welcome(codec.Welcome{}) }, 1002},
		{"a masked frame", func(p *peer) { p.writeFrame(gobwas.MaskFrame(gobwas.NewBinaryFrame([]byte("x")))) }, 1002},
		{"too large", func(p *peer) {
			p.Write(gobwas.MustCompileFrame(gobwas.NewBinaryFrame(make([]byte, codec.MaxServerFrame(codec.Proto)+1)))[:100])
		}, 1009},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNode(t)
				u := start(t, n, nil)
				p := n.welcome(codec.Welcome{})
				test.part(p)
				p.awaitClose(test.code)
				var protocol *ProtocolError
				if s := u.lastEnd(); !errors.As(s.Err, &protocol) {
					t.Errorf("the error is %v", s.Err)
				}
				u.leave(n.welcome(codec.Welcome{}))
			})
		})
	}
}
