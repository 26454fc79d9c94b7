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
	c.kill()

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

// BenchmarkDensityActive measures whether buffers go back: the memory of many idle
// connections, and again a minute after each has sent 10 messages and received as many.
// What the node remembers of recent messages is filled to its bound before the first
// reading, so that the difference is that of the connections.
//
//	go test ./bench -run '^$' -bench DensityActive
func BenchmarkDensityActive(b *testing.B) {
	noTime(b)
	n := size(18_000, 1000)
	log := realKafka(b, partitions)

	// What a connection holds when idle: the heap of a node with all, less that of one
	// with none.
	idle := serve(b, log)
	idleClients := clientsOf(b, idle, n)
	settle()
	none := idle.memory(b)
	idleClients.open(b, n)
	settle()
	all := idle.memory(b)
	perConn := (all.heap - none.heap) / float64(n)
	idleClients.kill()
	idle.kill()

	s := serve(b, log)
	c := clientsOf(b, s, n)
	c.open(b, n)
	// Two records for each message, and one id remembered for each record.
	fill := size(rememberedIDs/2, 10_000)
	tell("remembering %d messages", fill)
	c.run(b, load.Traffic{Shape: load.Unicast, Size: 200, InFlight: 4000, Count: int64(fill)})
	settle()
	before := s.memory(b)
	c.run(b, load.Traffic{Shape: load.Neighbour, Size: 200, InFlight: 2000, Count: 10 * int64(n)})
	time.Sleep(size(time.Minute, 2*time.Second))
	after := s.memory(b)
	added := (after.heap - before.heap) / float64(n)
	metric(b, "added-heap-B/conn", added)
	metric(b, "added-B/conn", float64(after.rss-before.rss)/float64(n))
	metric(b, "x-idle", (perConn+added)/perConn)
}

// rememberedIDs is the bound of the ids that a node remembers: dedupeEntries of package
// server.
const rememberedIDs = 2_000_000

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
