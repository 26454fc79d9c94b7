package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/auth"
)

// flood sends messages numbered from first to last, with at most window of them
// unanswered, and requires that all are stored. message gives each its body and its
// recipients; the id is "m" and the number.
func (d *device) flood(first, last, window int, message func(i int) (body string, to []string)) {
	d.t.Helper()
	d.mu.Lock()
	before := d.answers
	d.mu.Unlock()
	for i := first; i <= last; i++ {
		body, to := message(i)
		d.send(fmt.Sprint("m", i), body, to...)
		d.answered(before + i - first + 1 - window)
	}
	d.answered(before + last - first + 1)
	for i := first; i <= last; i++ {
		if a := d.ack(fmt.Sprint("m", i), 0); a.Status != backplane.Stored {
			d.t.Fatalf("%s: m%d was answered %d %q", d.timeline.name, i, a.Status, a.Code)
		}
	}
}

// answered waits until n acks came.
func (d *device) answered(n int) {
	d.t.Helper()
	d.mu.Lock()
	enough := d.answers >= n
	d.mu.Unlock()
	if !enough {
		d.until(fmt.Sprint(n, " acks"), func() bool { return d.answers >= n })
	}
}

// noRate lifts the limit of sends a second.
var noRate = []string{"--limits-sends-per-second", "0"}

// roomy queues hold all that a test delivers, so that only what does not read at all
// overflows.
var roomy = []string{"--limits-queue-messages", "65536", "--limits-queue-bytes", "64MiB"}

// TestOrder has several users send 10,000 messages, each to two of three users
// with several devices, and checks that every device gets those of each sender in
// order, each once. The timeline of each device checks that nothing is missing.
func TestOrder(t *testing.T) {
	const senders, each, window = 5, 2000, 100
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		n := serve(t, newLog(t, b, 16), newKey(t, auth.HS256), append(noRate, roomy...)...)
		receivers := []string{"xenia", "yuri", "zoe"}
		var devices []*device
		for i, user := range receivers {
			for j := range i + 1 {
				devices = append(devices, connect(t, n, user, options{device: fmt.Sprint("d", j), encoding: codec.Encoding((i + j) % codec.Encodings)}))
			}
		}
		message := func(s, i int) (body string, to []string) {
			return fmt.Sprintf("%d:%d", s, i), []string{receivers[i%3], receivers[(i+1+s%2)%3]}
		}
		var from []*device
		for s := range senders {
			from = append(from, connect(t, n, fmt.Sprint("sender-", s), options{device: "d", encoding: codec.Encoding(s % codec.Encodings)}))
		}
		var wg sync.WaitGroup
		for s, d := range from {
			wg.Go(func() {
				d.flood(1, each, window, func(i int) (string, []string) { return message(s, i) })
			})
		}
		wg.Wait()

		want := make(map[string]int) // by user
		for s := range senders {
			for i := 1; i <= each; i++ {
				_, to := message(s, i)
				for _, u := range to {
					want[u]++
				}
			}
		}
		for _, d := range devices {
			last := make([]int, senders)
			for _, got := range d.got(want[d.user]) {
				sender, number, _ := strings.Cut(got.body, ":")
				s, _ := strconv.Atoi(sender)
				i, _ := strconv.Atoi(number)
				if i <= last[s] {
					t.Fatalf("%s got message %d of sender %d after %d", d.timeline.name, i, s, last[s])
				}
				last[s] = i
			}
		}
		m := n.conserved(t)
		for _, d := range devices {
			if d.count() != want[d.user] {
				t.Errorf("%s got %d messages, want %d", d.timeline.name, d.count(), want[d.user])
			}
		}
		for _, d := range from {
			if d.count() != each {
				t.Errorf("%s got %d copies of its own messages, want %d", d.timeline.name, d.count(), each)
			}
		}
		if drops := m.sum(t, "godwit_drops_total"); drops != 0 {
			t.Errorf("%v deliveries were dropped", drops)
		}
		if got := m.of(t, label("godwit_acks_total", "status", "stored")); got != senders*each {
			t.Errorf("%v sends were acknowledged as stored, want %d", got, senders*each)
		}
	})
}
