package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/auth"
	"github.com/godwit-im/godwit/tools/processtest"
)

// narrow makes everything that a slow device can run into happen: queues overflow after a
// few messages, and the tail has given most of them up before the device comes for them.
var narrow = append(slices.Clip(noRate), "--limits-queue-messages", "8", "--limits-tail-bytes", "64KiB")

// storm is a node under load, with devices that come and go.
type storm struct {
	*world
	cfg        kafka.Config
	users      []string
	travellers []*traveller
	moving     sync.WaitGroup
}

// The size of a storm.
const (
	stormUsers   = 10
	stormDevices = 5 // of each user
	stormAuthors = 5 // the first users, who send to others
	stormWindow  = 20
	stormBody    = 2000 // bytes, so that what a deaf device misses does not fit into sockets
)

// stormSize returns how many messages each author sends.
func stormSize() int {
	if testing.Short() || raceFlag == "-race=true" { // which takes ten times as long
		return 300
	}
	return 800
}

// newStorm has the devices arrive and sends nothing yet.
func newStorm(t *testing.T, cfg kafka.Config, n *node) *storm {
	s := &storm{world: newWorld(t, n), cfg: cfg}
	for u := range stormUsers {
		user := fmt.Sprint("user-", u)
		s.users = append(s.users, user)
		for i := range stormDevices {
			s.travellers = append(s.travellers, s.arrive(user, options{
				device: fmt.Sprint("d", i), encoding: codec.Encoding((u + i) % codec.Encodings), receiveBuffer: 4096,
			}))
		}
	}
	return s
}

// begin has the authors send, and the devices travel until they have sent everything.
func (s *storm) begin() {
	padding := strings.Repeat(".", stormBody)
	var writing sync.WaitGroup
	for a := range stormAuthors {
		writing.Go(func() {
			s.author(s.users[a], stormSize(), stormWindow, func(i int) (string, []string) {
				to := []string{s.users[(a+1+i)%stormUsers], s.users[(a+2+i*i)%stormUsers], s.users[(a+3)%stormUsers]}
				return fmt.Sprint(a, ":", i, padding), distinct(to, s.users[a])
			})
		})
	}
	s.moving.Go(func() {
		writing.Wait()
		s.end()
	})
	for i, p := range s.travellers {
		first := 0
		if i%stormDevices == 0 { // one device of each user is deaf for long, and overflows
			first = stormSize() * stormAuthors / 2
		}
		s.moving.Go(func() { p.travel(rand.New(rand.NewPCG(1, uint64(i))), first) })
	}
}

// distinct returns the users of a list, each once, but for one.
func distinct(users []string, but string) (list []string) {
	seen := map[string]bool{but: true}
	for _, u := range users {
		if !seen[u] {
			seen[u] = true
			list = append(list, u)
		}
	}
	return list
}

// travel comes and goes until nothing more is sent: it reads at once, after a while, or
// slowly, ends its connections politely or not, and is away for shorter and longer times.
// deaf is until when it reads nothing at first, 0 if it is to do as it likes.
func (p *traveller) travel(r *rand.Rand, deaf int) {
	for more := true; more; deaf = 0 {
		now := p.now()
		stay := now + 20 + r.IntN(600)
		switch way := r.IntN(4); {
		case deaf > 0:
			p.options.gate = func() { p.until(deaf) }
			stay = deaf + 100
		case way == 0:
			p.options.gate = nil
		case way == 1: // stops reading for a while
			begin := now + 20 + r.IntN(400)
			p.options.gate = func() { p.until(begin) }
		default: // is slow
			step := 1 + r.IntN(3)
			p.options.gate = func() { p.until(p.now() + step) }
		}
		d := p.visit()
		more = p.until(stay)
		switch r.IntN(3) {
		case 0:
			_ = d.writeClose(1000) // which fails when the node has been killed
		case 1:
			_ = d.conn.SetLinger(0)
		}
		p.leave(d)
		if more && r.IntN(2) == 0 {
			more = p.until(p.now() + r.IntN(200))
		}
	}
}

// finish waits until everything was sent, and requires that each device has exactly what
// is for it.
func (s *storm) finish() {
	s.t.Helper()
	s.moving.Wait()
	trips := 0
	want := s.expected(s.cfg, s.travellers)
	var wg sync.WaitGroup
	for i, p := range s.travellers {
		trips += p.trips
		wg.Go(func() { p.catchUp(want[i]) })
	}
	wg.Wait()
	s.t.Logf("%d messages, %d devices on %d connections, %d deliveries", s.now(), len(s.travellers), trips, func() (n int) {
		for _, p := range s.travellers {
			n += len(p.got)
		}
		return n
	}())
}

// pebble are the flags of a node that keeps history in a folder of the test.
func pebble(t testing.TB) []string {
	return []string{"--history-store", "pebble", "--history-folder", t.TempDir()}
}

// historied waits until history has all that the log has.
func (n *node) historied(t testing.TB, cfg kafka.Config) {
	t.Helper()
	entries := 0
	for _, all := range timelines(readLog(t, cfg)) {
		entries += len(all)
	}
	eventually(t, fmt.Sprintf("history has the %d entries of the log", entries), func() bool {
		return n.metrics(t).of(t, "godwit_history_writer_entries_total") >= float64(entries)
	})
}

// TestCatchUpStorm has fifty devices read slowly, not at all, and go and come back, while
// several users write to them. In the end each has all messages of its user, in order,
// each once, whether they came live, out of the tail, out of the log, or from history.
func TestCatchUpStorm(t *testing.T) {
	storm := func(t *testing.T, b kafkatest.Backend, flags []string) metrics {
		cfg := newLog(t, b, 4)
		n := serve(t, cfg, newKey(t, auth.HS256), append(slices.Clip(narrow), flags...)...)
		s := newStorm(t, cfg, n)
		late := s.arrive(s.users[0], options{device: "late"}) // and goes at once, for as long as it lasts
		s.begin()
		s.finish()
		if flags != nil {
			n.historied(t, cfg)
		}
		late.catchUp(s.expected(cfg, []*traveller{late})[0])
		m := n.conserved(t)
		happened(t, m, "godwit_overflows_total", "godwit_caught_deliveries_total", "godwit_caught_up_total")
		eventually(t, "nobody is catching up", func() bool { return n.metrics(t).of(t, "godwit_catching_up") == 0 })
		return m
	}
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		t.Run("without history", func(t *testing.T) { happened(t, storm(t, b, nil), "godwit_timeline_scans_total") })
		if !b.LogAppendTime { // once will do: TestCatchUpRestart has the other
			t.Run("with history", func(t *testing.T) { happened(t, storm(t, b, pebble(t)), "godwit_timeline_store_reads_total") })
		}
	})
}

// TestCatchUpRestart kills the node twice in a storm, as kill -9 does, and starts it again:
// devices that were connected, and those that were away, get everything, and so does who
// had sent something and knows no answer.
func TestCatchUpRestart(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg, k := newLog(t, b, 4), newKey(t, auth.HS256)
		flags := append(slices.Clip(narrow), "--listen", fmt.Sprint("127.0.0.1:", processtest.FreePorts(t, 1)[0]))
		if b.LogAppendTime {
			flags = append(flags, pebble(t)...)
		}
		s := newStorm(t, cfg, serve(t, cfg, k, flags...))
		s.begin()
		for part := range 2 {
			if !s.until(stormAuthors * stormSize() * (part + 1) / 3) {
				t.Fatal("everything was sent before the node was killed")
			}
			s.node.Load().Kill()
			s.node.Store(serve(t, cfg, k, flags...))
		}
		s.finish()
		m := s.node.Load().conserved(t)
		happened(t, m, "godwit_caught_deliveries_total", "godwit_caught_up_total")
	})
}

// happened requires that something was counted.
func happened(t testing.TB, m metrics, names ...string) {
	t.Helper()
	for _, name := range names {
		if m.sum(t, name) == 0 {
			t.Errorf("%s is 0", name)
		}
	}
}
