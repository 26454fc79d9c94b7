package e2e

import (
	"fmt"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/auth"
)

// TestConversation sends from one of alice's devices to all of bob's and carol's.
func TestConversation(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		n := serve(t, newLog(t, b, 16), newKey(t, auth.HS256))
		phone := connect(t, n, "alice", options{device: "phone", encoding: codec.JSON})
		laptop := connect(t, n, "alice", options{device: "laptop", encoding: codec.Proto})
		others := []*device{
			connect(t, n, "bob", options{device: "phone", encoding: codec.Proto}),
			connect(t, n, "bob", options{device: "laptop", encoding: codec.JSON}),
			connect(t, n, "bob", options{encoding: codec.Proto}),
			connect(t, n, "carol", options{encoding: codec.JSON}),
		}
		bodies := []string{"hello", "", "a\x00b \u2028 \"quotes\" \\ 🦆", "\xff\xfe not text"}
		var acks []codec.Ack
		for i, body := range bodies {
			from := phone
			if i%2 == 1 {
				from = laptop
			}
			acks = append(acks, from.store(fmt.Sprint("m", i), body, "bob", "carol"))
		}
		all := append([]*device{phone, laptop}, others...)
		for _, d := range all {
			for i, got := range d.got(len(bodies)) {
				want := backplane.Message{
					MessageID: acks[i].MessageID, From: []byte("alice"), To: [][]byte{[]byte("bob"), []byte("carol")},
					ID: fmt.Appendf(nil, "m%d", i),
				}
				if !sameMessage(&got.Message, &want) {
					t.Errorf("%s got %+v, want %+v", d.timeline.name, got.Message, want)
				}
				body := bodies[i]
				if d == phone && i%2 == 0 || d == laptop && i%2 == 1 {
					body = "" // the session that sent it has it
				}
				if got.body != body {
					t.Errorf("%s got body %q of message %d, want %q", d.timeline.name, got.body, i, body)
				}
				// Every partition has a log time of its own; the ack tells that of the sender's.
				if d.user == "alice" && got.Time != acks[i].Time || got.Time == 0 {
					t.Errorf("%s got message %d with time %d, its ack has %d", d.timeline.name, i, got.Time, acks[i].Time)
				}
			}
		}
		n.conserved(t)
		for _, d := range all {
			if got := d.count(); got != len(bodies) {
				t.Errorf("%s got %d messages, want %d", d.timeline.name, got, len(bodies))
			}
		}
		n.stop(t)
	})
}

func sameMessage(a, b *backplane.Message) bool {
	if a.MessageID != b.MessageID || string(a.From) != string(b.From) || string(a.ID) != string(b.ID) || a.Kind != b.Kind || len(a.To) != len(b.To) {
		return false
	}
	for i := range a.To {
		if string(a.To[i]) != string(b.To[i]) {
			return false
		}
	}
	return true
}
