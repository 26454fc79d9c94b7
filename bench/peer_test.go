package bench

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/godwit-im/godwit/bench/load"
)

// peer is one of the floors and other servers of bench/peers; its package control says
// how it is spoken to.
type peer struct {
	*process
	lines
	addr string
}

// newPeer starts a peer.
func newPeer(tb testing.TB, name string) *peer {
	tb.Helper()
	program := build(tb, "peers", filepath.Join(root, "bench", "peers"), ".")
	p := &peer{process: launch(tb, nil, program, name)}
	p.lines = lines{json.NewEncoder(p.stdin), json.NewDecoder(p.stdout)}
	var ready struct {
		Addr string `json:"addr"`
	}
	p.answer(tb, &ready)
	p.addr = ready.Addr
	return p
}

// cpu returns the CPU time that the peer has taken.
func (p *peer) cpu(tb testing.TB) time.Duration { tb.Helper(); return cpu(tb, p.Pid()) }

// clientsOf starts a load process for n connections to the peer.
func (p *peer) clientsOf(tb testing.TB, n int) *clients {
	tb.Helper()
	return newClients(tb, load.Config{Addr: p.addr, Protocol: load.Plain, Connections: n})
}

// push has the peer send count frames of a size to every connection, and waits until
// all have come. It returns the CPU time that one took, in microseconds.
func (p *peer) push(tb testing.TB, c *clients, conns, size, count int) float64 {
	tb.Helper()
	before, err := c.Stats()
	if err != nil {
		tb.Fatal(err)
	}
	var pushed struct {
		Frames int64 `json:"frames"`
		CPU    int64 `json:"cpu_us"`
	}
	p.ask(tb, map[string]any{"cmd": "push", "size": size, "count": count, "batch": 1}, &pushed)
	if want := int64(conns * count); pushed.Frames != want {
		tb.Fatalf("%d frames were written, want %d", pushed.Frames, want)
	}
	c.frames(tb, before, pushed.Frames)
	return float64(pushed.CPU) / float64(pushed.Frames)
}

// kafkaFloor is what franz-go alone takes for messages of two records.
type kafkaFloor struct {
	CPU float64 `json:"cpu_us_per_msg"`
	Per float64 `json:"msgs_s"`
	P50 int64   `json:"p50_us"`
	P99 int64   `json:"p99_us"`
}

// kafka runs the peer kafka-loop against a log's brokers: rate messages a second, 0 for
// as many as go with window on their way.
func (p *peer) kafka(tb testing.TB, s *server, rate, window, size int, length time.Duration, echo bool) (f kafkaFloor) {
	tb.Helper()
	p.ask(tb, map[string]any{
		"cmd": "kafka", "brokers": s.log.Brokers, "topic": s.log.Namespace + ".floor", "partitions": s.log.Partitions,
		"rate": rate, "window": window, "size": size, "seconds": length.Seconds(), "records_per_message": 2, "echo": echo,
	}, &f)
	return f
}
