package e2e

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/embedded"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/codec"
)

// pour sends messages numbered from 1, each in a packet of its own that packet makes,
// with at most window of them unanswered, until the connection ends or there were
// max. stored counts. It returns how many were sent.
func (d *device) pour(max, window int, stored *atomic.Int64, packet func(i int) []*codec.ClientFrame) int {
	counted := 0
	for i := 1; i <= max; i++ {
		if d.write(encode(d.encoding, packet(i)...)) != nil {
			return i
		}
		end := false
		eventually(d.t, d.timeline.name+" may go on", func() bool {
			d.mu.Lock()
			defer d.mu.Unlock()
			stored.Add(int64(d.answers - counted))
			counted = d.answers
			end = d.end != nil
			return end || i-d.answers < window
		})
		if end {
			return i
		}
	}
	return max
}

// TestDevKilled kills godwit dev under load, as kill -9 does, and starts it again on its
// folder. The log goes on where it was, with everything that was acknowledged, and a
// retry of what was stored before the kill is known after it.
func TestDevKilled(t *testing.T) {
	const senders, most, window = 5, 150, 20
	data := t.TempDir()
	first := dev(t, data)
	bob := connect(t, first, "bob", options{device: "phone"})
	var from []*device
	for s := range senders {
		from = append(from, connect(t, first, fmt.Sprint("sender-", s), options{device: "phone", encoding: codec.Encoding(s % codec.Encodings)}))
	}
	var stored atomic.Int64
	var wg sync.WaitGroup
	sent := make([]int, senders)
	for s, d := range from {
		wg.Go(func() {
			sent[s] = d.pour(most, window, &stored, func(i int) []*codec.ClientFrame {
				return []*codec.ClientFrame{sendFrame(fmt.Sprint("m", i), fmt.Sprint(d.user, " ", i), "bob")}
			})
		})
	}
	eventually(t, "a third is stored", func() bool { return stored.Load() > senders*most/3 })
	first.Kill()
	wg.Wait()
	for _, d := range append(from, bob) {
		<-d.done
	}

	second := dev(t, data)
	again := connect(t, second, "bob", options{device: "phone", encoding: codec.Proto})
	if cursor := again.timeline.reached; cursor < bob.timeline.reached {
		t.Errorf("the log ends at offset %d, bob had offset %d before the kill", cursor, bob.timeline.reached)
	}
	// Whoever does not know about its last message sends it again; here everyone does
	// so with all that was sent.
	var ids []backplane.MessageID
	for s, d := range from {
		d = connect(t, second, d.user, options{device: "phone"})
		for i := 1; i <= sent[s]; i++ {
			a := d.store(fmt.Sprint("m", i), fmt.Sprint(d.user, " ", i), "bob")
			ids = append(ids, a.MessageID)
		}
		d.store("end", "end", "bob")
	}
	again.until("the ends", func() bool {
		ends := 0
		for i := range again.deliveries {
			if again.deliveries[i].body == "end" {
				ends++
			}
		}
		return ends == senders
	})
	second.conserved(t)
	second.stop(t)

	cfg := kafka.DefaultConfig()
	ec := embedded.DefaultConfig()
	ec.DataDir = data
	broker, err := embedded.Start(ec)
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	cfg.Brokers, cfg.Namespace, cfg.Generation, cfg.Partitions = []string{broker.Addr()}, ec.Namespace, ec.Generation, ec.Partitions
	log := places(readLog(t, cfg))
	for _, d := range from {
		acknowledged(t, log, d, "bob") // before the kill
	}
	// The first copy is the message. Bob got it before the kill or, if that is
	// younger, after it; a copy of something older he must not get.
	delivered := make(map[backplane.MessageID]int64)
	for _, got := range slices.Concat(bob.deliveries, again.deliveries) {
		if _, twice := delivered[got.Message.MessageID]; twice {
			t.Errorf("%q came before the kill and after it", got.body)
		}
		delivered[got.Message.MessageID] = got.offset
		if copies := log[place{got.Message.MessageID, "bob"}]; len(copies) == 0 || got.offset != copies[0] {
			t.Errorf("%q came with offset %d, its copies have %v", got.body, got.offset, copies)
		}
	}
	for _, id := range ids {
		copies := log[place{id, "bob"}]
		if len(copies) == 0 {
			t.Errorf("message %x is acknowledged, and the log does not have it", id)
		} else if _, ok := delivered[id]; !ok && copies[0] > again.firstOffset() {
			t.Errorf("message %x was stored after the restart, and bob did not get it", id)
		}
	}
}

// firstOffset returns the offset at which the device's connection began.
func (d *device) firstOffset() int64 {
	p, err := codec.ParseCursor(d.welcome.Cursor)
	if err != nil {
		d.t.Fatal(err)
	}
	return p.Offset
}
