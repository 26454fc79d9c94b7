package e2e

import (
	"fmt"
	"testing"

	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/auth"
)

// TestBurst has far more messages come to a device at once than its queue holds. A
// device that reads loses none of them: what counts as waiting is what its socket
// does not take.
func TestBurst(t *testing.T) {
	const count, body = 200, 100
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		n := serve(t, newLog(t, b, 8), newKey(t, auth.HS256), append(noRate, "--limits-queue-messages", "8")...)
		alice := connect(t, n, "alice", options{device: "phone"})
		bob := connect(t, n, "bob", options{device: "phone", encoding: codec.Proto})
		var frames []*codec.ClientFrame
		for i := range count {
			frames = append(frames, sendFrame(fmt.Sprint("m", i), fmt.Sprintf("%*d", body, i), "bob"))
		}
		if err := alice.write(encode(alice.encoding, frames...)); err != nil {
			t.Fatal(err)
		}
		alice.answered(count)
		alice.reaches(count)
		bob.reaches(count)
		n.conserved(t)
		for _, d := range []*device{alice, bob} {
			if d.count() != count || len(d.gaps) != 0 {
				t.Errorf("%s got %d messages and %d gaps, want %d", d.timeline.name, d.count(), len(d.gaps), count)
			}
		}
	})
}
