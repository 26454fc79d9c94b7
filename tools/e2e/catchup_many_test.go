package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/auth"
)

// TestManyResume has a thousand devices come back at once to a node that was killed, and
// that has nothing of what they have missed in its memory. What it reads of the log for
// all of them is little more than it would read for one.
func TestManyResume(t *testing.T) {
	const (
		users, devices = 250, 4
		sends, each    = 200, 50 // recipients of each
		partitions     = 8
		most           = 6 // times that the log may be read; devices come over some time
	)
	padding := strings.Repeat(".", 500)
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg, k := newLog(t, b, partitions), newKey(t, auth.HS256)
		flags := append(noRate[:len(noRate):len(noRate)], "--limits-tail-bytes", "0")
		w := newWorld(t, serve(t, cfg, k, flags...))
		all := make([]*traveller, users*devices)
		every := func(do func(i int)) {
			var wg sync.WaitGroup
			for i := range all {
				wg.Go(func() { do(i) })
			}
			wg.Wait()
		}
		user := func(i int) string { return fmt.Sprint("user-", i%users) }
		every(func(i int) {
			all[i] = w.arrive(user(i), options{device: fmt.Sprint("d", i/users), encoding: codec.Encoding(i % codec.Encodings)})
		})
		w.author("author", sends, 20, func(i int) (string, []string) {
			var to []string
			for r := range each {
				to = append(to, user(i*each+r))
			}
			return fmt.Sprint(i, padding), to
		})
		w.node.Load().Kill()
		n := serve(t, cfg, k, flags...)
		w.node.Store(n)

		want := w.expected(cfg, all)
		records := len(readLog(t, cfg))
		every(func(i int) { all[i].catchUp(want[i]) })
		m := n.conserved(t)
		t.Logf("%v scans have read %v records of a log of %d", m.of(t, "godwit_timeline_scans_total"), m.of(t, "godwit_timeline_scanned_records_total"), records)
		if got := m.of(t, "godwit_timeline_scanned_records_total"); got < float64(records)/2 || got > float64(most*records) {
			t.Errorf("%v records were read for %d devices, the log has %d", got, len(all), records)
		}
		if got := m.of(t, "godwit_timeline_window_restarts_total"); got > most*partitions {
			t.Errorf("reading began anew %v times, in %d partitions", got, partitions)
		}
		if got := m.of(t, label("godwit_timeline_questions_total", "of", "log")); got > float64(len(all)) {
			t.Errorf("the log was asked %v times for its bounds", got)
		}
	})
}
