package session

import (
	"fmt"
	"testing"

	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
)

// TestOnlyReceiving: a client that receives all the time and sends nothing is pinged
// although there is always output, and stays if it answers.
func TestOnlyReceiving(t *testing.T) {
	r := newRig(t)
	bob := r.connect("bob", codec.JSON)
	pings := 0
	for i := range 1200 {
		bob.blocked = true // what comes is still in the outbox when the deadline is looked at
		r.record(int64(i), text("alice", "bob", "x"), 0, "bob")
		r.at(i)
		bob.blocked = false
		bob.pump()
		if bob.pings > pings {
			pings = bob.pings
			bob.receive(ws.AppendMasked(nil, ws.Pong, nil, [4]byte{}))
		}
		if bob.gone {
			t.Fatalf("cut off after %d s, with %d pings", i, pings)
		}
	}
	if pings < 4 {
		t.Errorf("%d pings in 20 minutes of silence", pings)
	}
}

// TestStalled: whoever takes nothing of what there is for it goes, although it sends.
func TestStalled(t *testing.T) {
	r := newRig(t)
	bob, slow := r.connect("bob", codec.JSON), r.connect("bob", codec.JSON)
	bob.blocked, slow.blocked = true, true
	for i := range 12 {
		r.record(int64(i), text("alice", "bob", fmt.Sprint(i)), 0, "bob")
	}
	for i := range 61 {
		r.at(i)
		if !bob.gone {
			bob.receive(ws.AppendMasked(nil, ws.Pong, nil, [4]byte{}))
		}
		if out := slow.s.Fill(nil, 1); i%50 == 0 { // a byte now and then
			slow.s.Wrote(r.loop, min(1, len(out)))
		}
	}
	if !bob.gone || r.loop.Counters.Stalled.Load() != 1 {
		t.Error("a client that takes nothing keeps what it holds")
	}
	if slow.gone {
		t.Error("a slow client is taken for one that stands still")
	}
}

// TestUnfinishedMessage: the part of a message that is there counts against the node's
// memory, and it has to be finished in time.
func TestUnfinishedMessage(t *testing.T) {
	r := newRig(t)
	bob := r.connect("bob", codec.JSON)
	frame := ws.AppendMasked(nil, ws.Text, []byte(`{"type":"send","id":"1","to":["alice"],"body":"`+fmt.Sprintf("%900d", 1)+`"}`), [4]byte{})
	before := r.deps.Memory.Used()
	bob.receive(frame[:800])
	if held := r.deps.Memory.Used() - before; held < 700 {
		t.Errorf("%d bytes are counted", held)
	}
	r.at(30)
	bob.receive(frame[800:])
	if len(r.sends) != 1 || r.deps.Memory.Used() != before {
		t.Fatalf("%d sends; %d bytes are still counted", len(r.sends), r.deps.Memory.Used()-before)
	}
	bob.receive(frame[:800])
	for i := 31; i < 95; i++ {
		if i%5 == 0 && bob.s.state == stateOpen {
			bob.receive(frame[800+i : 801+i])
		}
		r.at(i)
	}
	if e := bob.want(codec.FrameError).Error; e.Code != codec.CodePolicy || bob.closed != 4008 {
		t.Errorf("%+v, closed with %d", e, bob.closed)
	}
}
