package e2e

import (
	"fmt"
	"sync"
	"testing"

	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/auth"
)

// TestConservation has devices come and go, in every way, while others write to them
// and to users who are not there, with retries. Whatever becomes of a delivery,
// it is in the books.
func TestConservation(t *testing.T) {
	const senders, each, visits = 3, 1000, 40
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := newLog(t, b, 8)
		n := serve(t, cfg, newKey(t, auth.HS256), append(noRate, "--limits-queue-messages", "64")...)
		stays := connect(t, n, "stays", options{device: "phone"})
		var wg sync.WaitGroup
		for s := range senders {
			d := connect(t, n, fmt.Sprint("sender-", s), options{device: "phone", encoding: codec.Encoding(s % codec.Encodings)})
			wg.Go(func() {
				d.flood(1, each, 10, func(i int) (string, []string) {
					to := []string{"visitor", fmt.Sprint("nobody-", i%7)}
					if i%10 == 0 {
						to = append(to, "stays")
					}
					return fmt.Sprint(i), to
				})
				for i := 1; i <= 50; i++ { // retries, and the window is not over
					d.send(fmt.Sprint("m", i*7), fmt.Sprint(i*7), "visitor", fmt.Sprint("nobody-", i*7%7))
				}
				d.answered(each + 50)
			})
		}
		for i := range visits {
			visitor := connect(t, n, "visitor", options{device: fmt.Sprint("d", i%3), encoding: codec.Encoding(i % codec.Encodings), deaf: i%4 == 3})
			switch i % 4 {
			case 0: // says goodbye
				visitor.got(5)
				if err := visitor.writeClose(1000); err != nil {
					t.Error(err)
				}
				visitor.ended()
			case 1: // goes without a word
				visitor.got(5)
				visitor.hangup()
			case 2: // resets the connection
				visitor.got(1)
				if err := visitor.conn.SetLinger(0); err != nil {
					t.Error(err)
				}
				visitor.hangup()
			case 3: // never reads, and goes at the end
			}
		}
		wg.Wait()
		stays.got(senders * each / 10)
		log := readLog(t, cfg)
		eventually(t, "the whole log was consumed", func() bool {
			return n.metrics(t).of(t, "godwit_kafka_consumer_records_total") >= float64(len(log))
		})
		m := n.conserved(t)
		if consumed := m.of(t, "godwit_kafka_consumer_records_total"); consumed != float64(len(log)) {
			t.Errorf("%v records were consumed, the log has %d", consumed, len(log))
		}
		for _, result := range []string{"dispatched", "nobody", "duplicate"} {
			if m.of(t, label("godwit_records_total", "result", result)) == 0 {
				t.Errorf("no record was counted as %s", result)
			}
		}
		if got := m.of(t, label("godwit_records_total", "result", "bad")); got != 0 {
			t.Errorf("%v records are bad", got)
		}
		if acks := m.sum(t, "godwit_acks_total"); acks != senders*(each+50) {
			t.Errorf("%v acks, want %d", acks, senders*(each+50))
		}
		if stays.count() != senders*each/10 || len(stays.gaps) != 0 {
			t.Errorf("who stays got %d messages and %d gaps, want %d", stays.count(), len(stays.gaps), senders*each/10)
		}
		if users := m.of(t, "godwit_users"); users != 2+senders {
			t.Errorf("%v users are connected, want %d", users, 2+senders)
		}
	})
}
