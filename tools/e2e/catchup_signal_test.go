package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/auth"
)

// TestSignalsOfTheSlow: a device that catches up gets no signals of that time, each of which
// is counted as dropped, while who reads gets them all. Its numbers have no hole for them,
// and when it is live again, signals come again.
func TestSignalsOfTheSlow(t *testing.T) {
	const signals = 20
	for e := range codec.Encodings {
		encoding := codec.Encoding(e)
		t.Run(encoding.Subprotocol(), func(t *testing.T) {
			n := serve(t, kafkatest.Embedded(t, 4), newKey(t, auth.HS256), narrow...)
			fast := connect(t, n, "bob", options{device: "fast", encoding: encoding})
			slow := connect(t, n, "bob", options{device: "slow", encoding: encoding, receiveBuffer: 4096, deaf: true})
			alice := connect(t, n, "alice", options{device: "phone"})
			padding := strings.Repeat(".", 8000)
			var messages []string
			say := func(id string) {
				alice.store(id, id+padding, "bob")
				messages = append(messages, id+padding)
			}
			for i := 0; n.metrics(t).of(t, "godwit_catching_up") == 0; i++ {
				if i == 5000 {
					t.Fatal("a device that does not read never overflows")
				}
				say(fmt.Sprint("m", i))
				fast.got(len(messages)) // so that its queue never fills
			}
			for i := range signals {
				alice.signal(fmt.Sprint("s", i), "typing", "bob")
				fast.got(len(messages) + i + 1)
			}
			say("between")
			m := n.conserved(t)
			if got := m.of(t, label("godwit_drops_total", "reason", "signal")); got != signals || m.sum(t, "godwit_drops_total") != signals {
				t.Errorf("%v signals were dropped, and %v in all, want %d", got, m.sum(t, "godwit_drops_total"), signals)
			}

			slow.listen()
			if got := slow.bodies(len(messages)); !slices.Equal(got, messages) {
				t.Errorf("the slow one got %d messages, and not the %d in their order", len(got), len(messages))
			}
			eventually(t, "the slow one is live again", func() bool { return n.metrics(t).of(t, "godwit_catching_up") == 0 })
			alice.signal("last", "typing", "bob")
			last := slow.got(len(messages) + 1)[len(messages)]
			if last.Message.Kind != backplane.KindSignal || last.Seq != uint64(len(messages))+1 || len(slow.gaps) > 0 {
				t.Errorf("after that it got %+v, and %d gaps", last.Message, len(slow.gaps))
			}
			if got := n.conserved(t).sum(t, "godwit_drops_total"); got != signals {
				t.Errorf("%v were dropped, want %d", got, signals)
			}
		})
	}
}
