package e2e

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/auth"
)

// TestSlowReaderMemory sends 100 MB to a device that does not read. The node needs no more
// memory for that than for the first tenth, as the log has it; and when the device reads in
// the end, it gets all of it.
func TestSlowReaderMemory(t *testing.T) {
	const (
		size   = 60_000
		parts  = 20 // looks at the memory
		count  = 100_000_000 / size / parts * parts
		window = 4
		growth = 48 << 20 // what garbage and chance may add
	)
	cfg := kafkatest.Embedded(t, 1)
	n := serve(t, cfg, newKey(t, auth.HS256), append(noRate[:len(noRate):len(noRate)],
		"--limits-tail-bytes", "4MiB", "--limits-node-frame-bytes", "4MiB", "--limits-producer-bytes", "8MiB")...)
	w := newWorld(t, n)
	slow := w.arrive("bob", options{device: "slow", encoding: codec.Proto, receiveBuffer: 4096})
	var reads atomic.Bool
	slow.options.gate = func() {
		if !reads.Load() {
			w.until(count)
		}
	}
	d := slow.visit()
	alice := connect(t, n, "alice", options{device: "phone", encoding: codec.Proto})
	body := strings.Repeat("a lot to read ", size/14)
	var early, late float64 // bytes
	for part := range parts {
		alice.flood(part*count/parts+1, (part+1)*count/parts, window, func(int) (string, []string) { return body, []string{"bob"} })
		if now := n.metrics(t).of(t, "process_resident_memory_bytes"); part < parts/10 {
			early = max(early, now)
		} else {
			late = max(late, now)
		}
	}
	m := n.metrics(t)
	t.Logf("%.0f MB resident after a tenth, at most %.0f MB afterwards; frames take %.1f MB, the tail %.1f MB",
		early/1e6, late/1e6, m.of(t, "godwit_frame_bytes")/1e6, m.of(t, "godwit_tail_bytes")/1e6)
	if late > early+growth {
		t.Errorf("the node has grown from %.0f MB to %.0f MB while a device did not read", early/1e6, late/1e6)
	}
	happened(t, m, "godwit_overflows_total")

	reads.Store(true)
	w.advance(count)
	slow.leave(d)
	slow.catchUp(w.expected(cfg, []*traveller{slow})[0])
}
