package e2e

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/auth"
)

// insist sends messages numbered from first to last as an SDK does: what is answered
// with anything but stored is sent again, with the same id. At most window are under
// way at a time. stored, if not nil, counts.
func (d *device) insist(first, last, window int, stored *atomic.Int64, message func(i int) (body string, to []string)) {
	d.t.Helper()
	answered := make(map[int]int) // of those under way: how many acks were taken
	next := first
	for next <= last || len(answered) > 0 {
		for ; next <= last && len(answered) < window; next++ {
			body, to := message(next)
			d.send(fmt.Sprint("m", next), body, to...)
			answered[next] = 0
		}
		var done, again []int
		d.until("an answer", func() bool {
			for i, taken := range answered {
				acks := d.acks[fmt.Sprint("m", i)]
				switch {
				case len(acks) == taken:
				case acks[len(acks)-1].Status == backplane.Stored:
					done = append(done, i)
				default:
					answered[i] = len(acks)
					again = append(again, i)
				}
			}
			return len(done)+len(again) > 0
		})
		for _, i := range done {
			delete(answered, i)
		}
		if stored != nil {
			stored.Add(int64(len(done)))
		}
		for _, i := range again {
			body, to := message(i)
			d.send(fmt.Sprint("m", i), body, to...)
		}
	}
}

// acknowledged checks that the log has every message of d that was acknowledged as
// stored, for d's user and for those that all of them are to. It returns how many
// messages that were. All acks must have come.
func acknowledged(t testing.TB, log map[place][]int64, d *device, to ...string) (messages int) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, acks := range d.acks {
		stored := false
		for _, a := range acks {
			if a.Status != backplane.Stored {
				continue
			}
			stored = true
			for _, user := range append(to, d.user) {
				if len(log[place{a.MessageID, user}]) == 0 {
					t.Errorf("%s of %s is acknowledged, and the log does not have it for %s", id, d.timeline.name, user)
				}
			}
		}
		if stored {
			messages++
		}
	}
	return messages
}

// TestKafkaHangs stops the broker's threads: connections to it stay open, and it
// answers nothing. Every send is answered all the same, none with success, what
// the node holds for the log stays within its bounds however often clients try
// again, and when the broker goes on nothing was lost or doubled.
func TestKafkaHangs(t *testing.T) {
	t.Parallel()
	const maxRecords, early, late = 200, 60, 400
	broker := kafkatest.Private(t)
	cfg := broker.Config(t, 8)
	n := serve(t, cfg, newKey(t, auth.HS256), "--limits-sends-per-second", "0", "--limits-producer-records", fmt.Sprint(maxRecords),
		"--limits-in-flight", "2000")
	alice := connect(t, n, "alice", options{device: "phone"})
	bob := connect(t, n, "bob", options{device: "phone", encoding: codec.Proto})
	message := func(i int) (string, []string) { return fmt.Sprint("body ", i), []string{"bob"} }
	bounded := func() {
		t.Helper()
		m := n.metrics(t)
		for _, name := range []string{"godwit_kafka_producer_inflight_records", "godwit_kafka_producer_client_buffered_produce_records_total"} {
			if got := m.of(t, name); got > maxRecords {
				t.Errorf("%s is %v, the limit is %d", name, got, maxRecords)
			}
		}
	}
	alice.flood(1, 10, 10, message)

	broker.Pause()
	t.Cleanup(broker.Resume)
	attempts := make(map[int]int)
	attempt := func(first, last int) {
		for i := first; i <= last; i++ {
			body, to := message(i)
			alice.send(fmt.Sprint("m", i), body, to...)
			attempts[i]++
		}
		alice.ping()
		bounded()
	}
	// The first fit; their retries join them; the others do not fit any more.
	attempt(11, early)
	attempt(11, early)
	attempt(early+1, late)
	attempt(11, late)
	var unknown, rejected int
	for i := 11; i <= late; i++ {
		for k := range attempts[i] {
			switch a := alice.ack(fmt.Sprint("m", i), k); {
			case a.Status == backplane.Stored:
				t.Fatalf("m%d was answered stored, and nothing can have stored it", i)
			case !codec.Retryable(a.Code):
				t.Errorf("m%d was answered %d %q, which says not to retry", i, a.Status, a.Code)
			case a.Status == backplane.Unknown:
				unknown++
			default:
				rejected++
			}
		}
	}
	if unknown == 0 || rejected == 0 {
		t.Errorf("%d sends were answered unknown and %d rejected, want some of both", unknown, rejected)
	}
	bounded()
	attempt(11, late) // those that were given up try again
	alice.ping()
	bob.ping()

	broker.Resume()
	alice.insist(11, late, 50, nil, message)
	alice.insist(late+1, late+50, 50, nil, message)
	total := late + 50
	bob.got(total)
	n.conserved(t)
	acknowledged(t, places(readLog(t, cfg)), alice, "bob")
	if bob.count() != total || alice.count() != total {
		t.Errorf("bob got %d messages and alice %d copies, want %d", bob.count(), alice.count(), total)
	}
}

// TestKafkaKilled kills the broker under load, for longer than a send is waited for,
// and starts it again on its data. What was acknowledged before is in the log, what
// was not is sent again until it is, and each receiver gets each message once.
func TestKafkaKilled(t *testing.T) {
	t.Parallel()
	const senders, each, window = 3, 1500, 50
	broker := kafkatest.Private(t)
	cfg := broker.Config(t, 8)
	n := serve(t, cfg, newKey(t, auth.HS256), append(noRate, roomy...)...)
	receivers := []*device{
		connect(t, n, "bob", options{device: "phone"}),
		connect(t, n, "bob", options{device: "laptop", encoding: codec.Proto}),
		connect(t, n, "carol", options{device: "phone", encoding: codec.Proto}),
	}
	var from []*device
	for s := range senders {
		from = append(from, connect(t, n, fmt.Sprint("sender-", s), options{device: "phone", encoding: codec.Encoding(s % codec.Encodings)}))
	}
	var stored atomic.Int64
	var wg sync.WaitGroup
	for s, d := range from {
		wg.Go(func() {
			d.insist(1, each, window, &stored, func(i int) (string, []string) {
				return fmt.Sprintf("%d:%d", s, i), []string{"bob", "carol"}
			})
		})
	}
	eventually(t, "a third is stored", func() bool { return stored.Load() > senders*each/3 })
	broker.Kill()
	eventually(t, "sends have been given up", func() bool {
		return n.metrics(t).of(t, label("godwit_acks_total", "status", "unknown")) > 0
	})
	broker.Start(t)
	wg.Wait()
	for _, d := range receivers {
		d.got(senders * each)
	}
	m := n.conserved(t)
	t.Logf("%v sends answered unknown, %v duplicates", m.of(t, label("godwit_acks_total", "status", "unknown")),
		m.of(t, label("godwit_records_total", "result", "duplicate")))

	log := places(readLog(t, cfg))
	for _, d := range from {
		if got := acknowledged(t, log, d, "bob", "carol"); got != each {
			t.Errorf("%s was told that %d messages are stored, want %d", d.timeline.name, got, each)
		}
	}
	for _, d := range append(receivers, from...) {
		want := each
		if d.user == "bob" || d.user == "carol" {
			want *= senders
		}
		if d.count() != want {
			t.Errorf("%s got %d messages, want %d", d.timeline.name, d.count(), want)
		}
	}
}
