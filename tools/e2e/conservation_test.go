package e2e

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
	"github.com/godwit-im/godwit/server/auth"
)

// visit is a way for a device to come and go.
type visit struct {
	name string
	deaf bool // does not read
	do   func(t *testing.T, d *device)
}

var visits = []visit{
	{"says goodbye", false, func(t *testing.T, d *device) {
		d.got(5)
		if err := d.writeClose(1000); err != nil {
			t.Error(err)
		}
		d.ended()
	}},
	{"goes without a word", false, func(_ *testing.T, d *device) {
		d.got(5)
		d.hangup()
	}},
	{"resets the connection", false, func(t *testing.T, d *device) {
		d.got(1)
		if err := d.conn.SetLinger(0); err != nil {
			t.Error(err)
		}
		d.hangup()
	}},
	{"breaks the framing, and does not read why it is closed", true, func(t *testing.T, d *device) {
		if err := d.writeFrame(ws.Op(3), nil); err != nil {
			t.Error(err)
		}
	}},
	{"never reads, and goes at the end", true, func(*testing.T, *device) {}},
}

// TestConservation has devices come and go, in every way, while others write to them
// and to users who are not there, with retries. Whatever becomes of a delivery, it is in
// the books: see conserved. It goes on until what devices do here has cost them messages
// for each reason that it can, and some were left to catch up; TestSlowReader has the
// books balanced for the other reasons.
func TestConservation(t *testing.T) {
	const (
		senders = 3
		batch   = 250 // sends between two looks whether to go on
		least   = 40  // visits
		most    = 2000
	)
	padding := strings.Repeat(".", 1000)
	ends := []string{
		label("godwit_drops_total", "reason", "gone"), label("godwit_drops_total", "reason", "closing"),
		label("godwit_drops_total", "reason", "outbox_full"), "godwit_left_to_catch_up_total",
	}
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := newLog(t, b, 8)
		n := serve(t, cfg, newKey(t, auth.HS256), append(noRate, "--limits-queue-messages", "64")...)
		stays := connect(t, n, "stays", options{device: "phone"})
		var wg sync.WaitGroup
		var enough atomic.Bool
		var sends, kept atomic.Int64 // in all, and those of them that who stays gets
		for s := range senders {
			d := connect(t, n, fmt.Sprint("sender-", s), options{device: "phone", encoding: codec.Encoding(s % codec.Encodings)})
			content := func(i int) (body string, to []string) {
				to = []string{"visitor", fmt.Sprint("nobody-", i%7)}
				if i%10 == 0 {
					to = append(to, "stays")
				}
				return fmt.Sprint(i, padding), to
			}
			wg.Go(func() {
				last := 0
				for ; !enough.Load(); last += batch {
					d.flood(last+1, last+batch, 10, content)
				}
				for i := max(1, last-50); i <= last; i++ { // retries, and the window is not over
					body, to := content(i)
					d.send(fmt.Sprint("m", i), body, to...)
				}
				retries := last - max(1, last-50) + 1
				d.answered(last + retries)
				sends.Add(int64(last + retries))
				kept.Add(int64(last / 10))
			})
		}
		lacking := func() bool {
			m := n.metrics(t)
			return slices.ContainsFunc(ends, func(end string) bool { return m.of(t, end) == 0 })
		}
		for i := 0; i < least || i < most && lacking(); i++ {
			v := visits[i%len(visits)]
			o := options{
				device: fmt.Sprint("d", i%3), encoding: codec.Encoding(i % codec.Encodings), deaf: v.deaf,
				overflow: []codec.Overflow{codec.OverflowGap, codec.OverflowAuto}[i/len(visits)%2],
			}
			if v.deaf {
				o.receiveBuffer = 4096
			}
			v.do(t, connect(t, n, "visitor", o))
		}
		enough.Store(true)
		wg.Wait()
		stays.got(int(kept.Load()))
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
		for _, end := range ends {
			if m.of(t, end) == 0 {
				t.Errorf("no delivery ended in %s", end)
			}
		}
		if got := m.of(t, label("godwit_records_total", "result", "bad")); got != 0 {
			t.Errorf("%v records are bad", got)
		}
		if acks := m.sum(t, "godwit_acks_total"); acks != float64(sends.Load()) {
			t.Errorf("%v acks, want %d", acks, sends.Load())
		}
		if stays.count() != int(kept.Load()) || len(stays.gaps) != 0 {
			t.Errorf("who stays got %d messages and %d gaps, want %d", stays.count(), len(stays.gaps), kept.Load())
		}
		if users := m.of(t, "godwit_users"); users != 2+senders {
			t.Errorf("%v users are connected, want %d", users, 2+senders)
		}
		foreignRecord(t, n, cfg)
	})
}

// foreignRecord writes a record to the log that no godwit has made: it is in the books, too.
func foreignRecord(t *testing.T, n *node, cfg kafka.Config) {
	t.Helper()
	p, err := kafka.NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	done := make(waiter, 1)
	to := [][]byte{[]byte("stays")}
	if err := p.Produce(&backplane.Send{ID: backplane.MessageID{1}, From: []byte("stays"), To: to, Value: []byte("not a message")}, done); err != nil {
		t.Fatal(err)
	}
	if o := <-done; o.Status != backplane.Stored {
		t.Fatalf("%+v", o)
	}
	eventually(t, "the record is counted as bad", func() bool {
		return n.metrics(t).of(t, label("godwit_records_total", "result", "bad")) == 1
	})
	n.conserved(t)
}

// waiter is a backplane.Waiter for one outcome.
type waiter chan backplane.Outcome

func (w waiter) Done(o backplane.Outcome) { w <- o }
