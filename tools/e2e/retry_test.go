package e2e

import (
	"fmt"
	"slices"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/auth"
)

// duplicates returns how many records a node has recognised as duplicates.
func (n *node) duplicates(t testing.TB) float64 {
	t.Helper()
	return n.metrics(t).of(t, label("godwit_records_total", "result", "duplicate"))
}

// TestRetryAfterAck sends again what was acknowledged: both copies are in the log,
// and one is delivered, to devices that were there and to the retrying one alike.
func TestRetryAfterAck(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := newLog(t, b, 16)
		n := serve(t, cfg, newKey(t, auth.HS256))
		alice := connect(t, n, "alice", options{device: "phone"})
		tablet := connect(t, n, "alice", options{device: "tablet", encoding: codec.Proto})
		bob := connect(t, n, "bob", options{device: "phone", encoding: codec.Proto})

		first := alice.store("m1", "hello", "bob")
		bob.got(1)
		second := alice.store("m1", "hello", "bob")
		if first.MessageID != second.MessageID {
			t.Errorf("the retry has message id %x, the first %x", second.MessageID, first.MessageID)
		}
		// The same device, connected again, retries too: it cannot know of the ack.
		alice.hangup()
		alice = connect(t, n, "alice", options{device: "phone", encoding: codec.Proto})
		if third := alice.store("m1", "hello", "bob"); third.MessageID != first.MessageID {
			t.Errorf("the retry of the next connection has message id %x, the first %x", third.MessageID, first.MessageID)
		}
		alice.store("m2", "again", "bob")

		if got, want := bob.bodies(2), []string{"hello", "again"}; !slices.Equal(got, want) {
			t.Errorf("bob got %q, want %q", got, want)
		}
		if got, want := tablet.bodies(2), []string{"hello", "again"}; !slices.Equal(got, want) {
			t.Errorf("alice's tablet got %q, want %q", got, want)
		}
		m := n.conserved(t)
		// Two records for each attempt, as alice and bob live in different partitions.
		if got := m.of(t, label("godwit_records_total", "result", "duplicate")); got != 4 {
			t.Errorf("%v records are duplicates, want 4", got)
		}
		for _, d := range []*device{bob, tablet} {
			if d.count() != 2 {
				t.Errorf("%s got %d messages, want 2", d.timeline.name, d.count())
			}
		}
		n.stop(t)
		if got := copiesOf(readLog(t, cfg), first.MessageID); got != 6 {
			t.Errorf("the log has %d records of the message, want 6", got)
		}
	})
}

// TestRetryInFlight sends each message twice in one packet: the second is there before
// the log can have answered the first, and joins it or becomes a duplicate.
func TestRetryInFlight(t *testing.T) {
	const count = 50
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		n := serve(t, newLog(t, b, 16), newKey(t, auth.HS256), noRate...)
		alice := connect(t, n, "alice", options{device: "phone"})
		bob := connect(t, n, "bob", options{device: "phone", encoding: codec.Proto})
		for i := range count {
			id := fmt.Sprint("m", i)
			f := sendFrame(id, id, "bob")
			if err := alice.write(encode(alice.encoding, f, f)); err != nil {
				t.Fatal(err)
			}
			for k := range 2 {
				if a := alice.ack(id, k); a.Status != backplane.Stored {
					t.Fatalf("copy %d of %s was answered %d %q", k, id, a.Status, a.Code)
				}
			}
		}
		for i, body := range bob.bodies(count) {
			if body != fmt.Sprint("m", i) {
				t.Fatalf("bob got %q as message %d", body, i)
			}
		}
		m := n.conserved(t)
		if bob.count() != count || alice.count() != count {
			t.Errorf("bob got %d messages and alice %d copies, want %d", bob.count(), alice.count(), count)
		}
		if m.of(t, "godwit_kafka_producer_joined_sends_total") == 0 {
			t.Error("no retry joined a send in flight")
		}
	})
}

// TestSameIDElsewhere: ids are a device's own. Two devices of a user, or two sessions
// without a device name, that both count from m1 say different things, even when
// they say the same words.
func TestSameIDElsewhere(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		n := serve(t, newLog(t, b, 16), newKey(t, auth.HS256))
		bob := connect(t, n, "bob", options{})
		sessions := []*device{
			connect(t, n, "alice", options{device: "phone"}),
			connect(t, n, "alice", options{device: "laptop", encoding: codec.Proto}),
			connect(t, n, "alice", options{}),
			connect(t, n, "alice", options{encoding: codec.Proto}),
		}
		ids := make(map[backplane.MessageID]bool)
		for range 2 { // the second time it is a retry
			for _, d := range sessions {
				for _, id := range []string{"m1", "m2"} {
					ids[d.store(id, "hello", "bob").MessageID] = true
				}
			}
		}
		want := 2 * len(sessions)
		if len(ids) != want {
			t.Errorf("%d message ids, want %d", len(ids), want)
		}
		bob.got(want)
		n.conserved(t)
		for _, d := range append(sessions, bob) {
			if d.count() != want {
				t.Errorf("%s got %d messages, want %d", d.timeline.name, d.count(), want)
			}
		}
	})
}

// TestRetryJoins has a log that does not answer, so that a retry certainly finds the
// first attempt in flight.
func TestRetryJoins(t *testing.T) {
	t.Parallel()
	broker := kafkatest.Private(t)
	cfg := broker.Config(t, 4)
	n := serve(t, cfg, newKey(t, auth.HS256))
	alice := connect(t, n, "alice", options{device: "phone"})
	laptop := connect(t, n, "alice", options{device: "laptop"})
	bob := connect(t, n, "bob", options{device: "phone", encoding: codec.Proto})
	alice.store("m0", "before", "bob")

	broker.Pause()
	t.Cleanup(broker.Resume)
	alice.send("m1", "hello", "bob")
	alice.ping()
	alice.send("m1", "hello", "bob")
	alice.ping()
	laptop.send("m1", "hello", "bob") // no retry
	laptop.ping()
	m := n.metrics(t)
	if got := m.of(t, "godwit_kafka_producer_inflight_sends"); got != 2 {
		t.Errorf("%v sends are in flight, want 2", got)
	}
	if got := m.of(t, "godwit_kafka_producer_joined_sends_total"); got != 1 {
		t.Errorf("%v sends joined another, want 1", got)
	}
	broker.Resume()
	for i := range 2 {
		if a := alice.ack("m1", i); a.Status != backplane.Stored {
			t.Errorf("copy %d was answered %d %q", i, a.Status, a.Code)
		}
	}
	laptop.ack("m1", 0)
	bob.got(3)
	n.conserved(t)
	if bob.count() != 3 {
		t.Errorf("bob got %d messages, want 3", bob.count())
	}
	if got := n.duplicates(t); got != 0 {
		t.Errorf("%v records are duplicates, want none: the retry joined", got)
	}
}
