package bench

import (
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/bench/load"
)

// BenchmarkDensity measures what an idle authenticated connection holds in the node's
// process: the slope of its resident memory between few and many connections, without
// forced collections, and of its heap after a collection. Bare gnet with an upgrade does
// the same beside it (floor-...).
//
//	go test ./bench -run '^$' -bench 'Density$'
func BenchmarkDensity(b *testing.B) {
	noTime(b)
	few, many := size(6000, 500), size(18_000, 3000)
	s := serve(b, kafkatest.Embedded(b, partitions))
	c := clientsOf(b, s, many)
	c.open(b, few)
	settle()
	before, clientsBefore := s.memory(b), c.usage(b)
	c.open(b, many-few)
	settle()
	after := s.memory(b)
	n := float64(many - few)
	metric(b, "B/conn", float64(after.rss-before.rss)/n)
	metric(b, "heap-B/conn", (after.heap-before.heap)/n)
	metric(b, "objects/conn", (after.objects-before.objects)/n)
	metric(b, "load-B/conn", float64(c.usage(b).RSS-clientsBefore.RSS)/n)
	c.Kill()

	p := newPeer(b, "gnet-bare")
	floor := p.clientsOf(b, many)
	floor.open(b, few)
	settle()
	first := p.stats(b)
	floor.open(b, many-few)
	settle()
	second := p.stats(b)
	metric(b, "floor-B/conn", float64(second.RSS-first.RSS)/n)
	metric(b, "floor-heap-B/conn", float64(second.Heap-first.Heap)/n)
}

// settle lets a process come to rest: what connecting has begun is done, and idle
// threads have gone to sleep.
func settle() { time.Sleep(size(3*time.Second, 500*time.Millisecond)) }

// BenchmarkDensityActive measures whether buffers go back. Of two nodes with as many
// connections, one has each of them send 10 messages and receive as many; the other has
// idle ones, and as many records that are for nobody there, so that both remember as many
// message ids. Recent messages have the same small room in both, and have filled it before
// anybody connects. A minute later their memory should be the same (x-idle: that of an
// active connection in the heap over that of an idle one).
//
//	go test ./bench -run '^$' -bench DensityActive
func BenchmarkDensityActive(b *testing.B) {
	noTime(b)
	n := size(18_000, 1000)
	const room = "4MiB"
	idle, active := serve(b, kafkatest.Real(b, partitions), "--limits-tail-bytes", room), serve(b, kafkatest.Real(b, partitions), "--limits-tail-bytes", room)
	t := load.Traffic{Shape: load.Absent, Size: 200, InFlight: 2000, Count: 30_000}
	senders := fill(b, idle, t)
	fill(b, active, t)
	settle()
	none := idle.memory(b)
	idleClients, activeClients := clientsOf(b, idle, n), clientsOf(b, active, n)
	idleClients.open(b, n)
	activeClients.open(b, n)
	settle()
	perConn := (idle.memory(b).heap - none.heap) / float64(n)
	t.Count = 10 * int64(n)
	senders.run(b, t)
	t.Shape = load.Neighbour
	activeClients.run(b, t)
	tell("%s: waiting", b.Name())
	time.Sleep(size(time.Minute, time.Second))

	idleThen, activeThen := idle.memory(b), active.memory(b)
	// What is remembered is the same for both, so it is not counted as the connections'.
	added := (activeThen.heap - idleThen.heap) / float64(n)
	metric(b, "added-heap-B/conn", added)
	metric(b, "added-B/conn", float64(activeThen.rss-idleThen.rss)/float64(n))
	metric(b, "x-idle", (perConn+added)/perConn)
}

// fill has others than the clients to come send to a node, and returns them.
func fill(b *testing.B, s *server, t load.Traffic) *clients {
	b.Helper()
	config := s.config(16)
	config.Prefix = "other-"
	c := newClients(b, config)
	c.open(b, config.Connections)
	c.run(b, t)
	return c
}

// peerStats is what a peer tells of itself.
type peerStats struct {
	Conns int   `json:"conns"`
	RSS   int64 `json:"rss"`
	Heap  int64 `json:"heap"`
}

func (p *peer) stats(tb testing.TB) (s peerStats) {
	tb.Helper()
	p.ask(tb, map[string]any{"cmd": "stats"}, &s)
	return s
}
