package session

import (
	"fmt"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
)

// TestIdleHoldsNothing: whatever a client has done, once nothing is under way its session
// holds neither a buffer for input nor a ring for output.
func TestIdleHoldsNothing(t *testing.T) {
	both(t, func(t *testing.T, e codec.Encoding) {
		r := newRig(t)
		bob := r.connect("bob", e, "overflow=gap")
		idle := func(after string) {
			t.Helper()
			if s := &bob.s; s.input != nil || s.output != nil || s.answers != 0 {
				t.Errorf("after %s: input %v, output %v, %d answers", after, s.input, s.output, s.answers)
			}
			if used := r.deps.Memory.Used(); used != 0 {
				t.Errorf("after %s: %d bytes of frames", after, used)
			}
		}
		idle("the welcome")

		ping := ws.AppendMasked(nil, ws.Ping, []byte("are you there"), [4]byte{1, 2, 3, 4})
		bob.receive(ping[:4])
		if bob.s.input == nil {
			t.Error("half a frame is nowhere")
		}
		bob.receive(ping[4:])
		idle("a frame in two pieces")

		bob.send("m1", "alice", "hello")
		r.answer(0, backplane.Outcome{Status: backplane.Stored})
		r.record(0, text("bob", "alice", "hello"), bob.s.id, "bob", "alice")
		idle("a send, its ack and its copy")

		r.record(1, text("alice", "bob", "hello"), 0, "bob")
		idle("a delivery")

		bob.blocked = true
		for i := range 3 * r.config.QueueMessages {
			r.record(int64(2+i), text("alice", "bob", fmt.Sprint(i)), 0, "bob")
		}
		if bob.s.output == nil || bob.s.output.gap == nil {
			t.Error("a client that does not read loses nothing")
		}
		bob.blocked = false
		bob.pump()
		idle("an overflow")
	})
}
