package bench

import (
	"encoding/binary"
	"log/slog"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
	"github.com/godwit-im/godwit/registry"
	"github.com/godwit-im/godwit/server/auth"
	"github.com/godwit-im/godwit/server/config"
	"github.com/godwit-im/godwit/server/delivery"
	"github.com/godwit-im/godwit/server/placement"
	"github.com/godwit-im/godwit/server/session"
	"github.com/godwit-im/godwit/server/tail"
)

// BenchmarkSimulatedMillion holds a million sessions in this process, without sockets:
// requests with tokens, the registry, the sessions and what their deadlines cost, and
// the way of a record from the dispatcher to the bytes for a socket.
//
//	go test ./bench -run '^$' -bench SimulatedMillion
func BenchmarkSimulatedMillion(b *testing.B) {
	noTime(b)
	n := size(1_000_000, 50_000)
	base := heap()
	sim := newSimulation(b)
	start := time.Now()
	for user := range n {
		sim.open(b, user)
	}
	metric(b, "us/open", perOp(time.Since(start), int64(n)))
	held := heap() - base
	metric(b, "heap-MB", float64(held)/1e6)
	metric(b, "heap-B/session", float64(held)/float64(n))

	// Pauses while records are dispatched and collections run beside.
	var gc debug.GCStats
	collections := size(5, 2)
	stop, done := make(chan struct{}), make(chan struct{})
	before := time.Now()
	go func() {
		defer close(done)
		for range collections {
			runtime.GC()
		}
		close(stop)
	}()
	records := 0
	start = time.Now()
	for running := true; running; {
		select {
		case <-stop:
			running = false
		default:
		}
		for range 1000 {
			from := records % n
			sim.send(from, (from+1+records%(n-1))%n)
			records++
		}
	}
	took := time.Since(start)
	<-done
	if want := uint64(2 * records); sim.delivered != want {
		b.Fatalf("%d deliveries of %d records, want %d", sim.delivered, records, want)
	}
	metric(b, "ns/dispatch", float64(took)/float64(records))
	debug.ReadGCStats(&gc)
	var longest time.Duration
	for i, end := range gc.PauseEnd {
		if end.After(before) {
			longest = max(longest, gc.Pause[i])
		}
	}
	metric(b, "gc-pause-us", float64(longest)/float64(time.Microsecond))

	// What a pass over all deadlines costs, of which a wheel makes a small part a second.
	start = time.Now()
	sim.tick()
	for i := range sim.count {
		s := sim.at(i)
		if s.Deadline(sim.loop) == 0 || !s.Expire(sim.loop) {
			b.Fatal("a session ended")
		}
	}
	metric(b, "ns/deadline", float64(time.Since(start))/float64(n))
	runtime.KeepAlive(sim)
}

// heap returns what a collection leaves.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// simulation is a loop with its sessions, and a dispatcher in front of it, all on one
// goroutine. It implements delivery.Loops and session.Lane.
type simulation struct {
	config     session.Config
	deps       session.Deps
	loop       *session.Loop
	dispatcher *delivery.Dispatcher
	sign       func(user string) string
	slabs      []*[sessionsPerSlab]session.Session
	count      int
	out        []byte
	message    backplane.Message
	record     backplane.Record
	number     uint64
	delivered  uint64
}

const sessionsPerSlab = 1024

func newSimulation(b *testing.B) *simulation {
	b.Helper()
	key, err := auth.OpenDevKey(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	secret, err := auth.ReadKey(key.File())
	if err != nil {
		b.Fatal(err)
	}
	verifier, err := auth.NewVerifier(auth.Options{Algorithm: auth.HS256, Key: secret})
	if err != nil {
		b.Fatal(err)
	}
	place, err := placement.New(1, 1, "n1", []placement.Node{{Name: "n1", URL: "ws://n1", Partitions: placement.All(1)}})
	if err != nil {
		b.Fatal(err)
	}
	c := config.Default().Limits
	sim := &simulation{
		config: session.Config{
			Node: "n1", Body: int(c.BodyBytes), QueueMessages: c.QueueMessages, QueueBytes: int(c.QueueBytes),
			InFlight: c.InFlight, Answers: 1, UpgradeTimeout: c.UpgradeTimeout, Heartbeat: c.HeartbeatTime(),
			Idle: c.IdleTime(), CursorLag: time.Hour,
		},
		deps: session.Deps{
			Registry: registry.New(), Placement: placement.NewCurrent(place), Tails: tail.NewTails(1, 1, 1, int64(c.TailBytes)),
			Memory: delivery.NewMemory(int64(c.NodeFrameBytes)), Verifier: verifier,
			Ready: func() bool { return true }, Reached: func(backplane.Partition) bool { return true }, Degraded: func() bool { return false },
		},
		sign: func(user string) string {
			token, err := key.Sign(user, time.Hour, time.Now())
			if err != nil {
				b.Fatal(err)
			}
			return token
		},
	}
	sim.loop = session.NewLoop(&sim.config, &sim.deps, sim)
	sim.tick()
	sim.dispatcher = delivery.New(delivery.Config{
		Loops: sim, Registry: sim.deps.Registry, Memory: sim.deps.Memory, Tails: sim.deps.Tails,
		Remember: 10_000, Log: slog.New(slog.DiscardHandler),
	})
	return sim
}

// tick tells the loop the time.
func (sim *simulation) tick() {
	sim.loop.Wall = time.Now()
	sim.loop.Now = sim.loop.Wall.UnixMilli()
}

func (sim *simulation) at(i int) *session.Session {
	return &sim.slabs[i/sessionsPerSlab][i%sessionsPerSlab]
}

// open connects a user, and takes the answer and the welcome.
func (sim *simulation) open(b *testing.B, user int) {
	if sim.count/sessionsPerSlab == len(sim.slabs) {
		sim.slabs = append(sim.slabs, new([sessionsPerSlab]session.Session))
	}
	s := sim.at(sim.count)
	s.Open(sim.loop, registry.MakeHandle(0, sim.count, 1).WithEncoding(uint8(codec.Proto)))
	sim.count++
	name := userName(user)
	s.Receive(sim.loop, ws.AppendRequest(nil, "n1", session.PathConnect, [16]byte{1}, []string{codec.Proto.Subprotocol()},
		[2]string{"Authorization", "Bearer " + sim.sign(name)}))
	sim.flush(s)
	if len(sim.deps.Registry.Append(nil, []byte(name))) != 1 {
		b.Fatalf("%s was not let in", name)
	}
}

func userName(user int) string { return "load-" + strconv.Itoa(user) }

// flush takes a session's output, as a socket that has room does.
func (sim *simulation) flush(s *session.Session) {
	for s.Pending() {
		sim.out = s.Fill(sim.out[:0], 64<<10)
		s.Wrote(sim.loop, len(sim.out))
	}
}

// send is a record of a message between two users, as it comes out of the log.
func (sim *simulation) send(from, to int) {
	sim.number++
	m := &sim.message
	m.MessageID = backplane.MessageID{1}
	binary.BigEndian.PutUint64(m.MessageID[8:], sim.number)
	m.From = append(m.From[:0], userName(from)...)
	m.To = append(m.To[:0], []byte(userName(to)))
	m.ID = append(m.ID[:0], "0123456789abcdef01234567"...)
	m.Body = body[:]
	r := &sim.record
	r.Position = backplane.Position{Generation: 1, Offset: int64(sim.number)}
	r.Time = sim.loop.Now
	r.Value = backplane.AppendMessage(r.Value[:0], m)
	r.Recipients = backplane.AppendRecipient(backplane.AppendRecipient(r.Recipients[:0], m.To[0]), m.From)
	sim.dispatcher.Record(r)
}

var body [200]byte

// Deliver implements delivery.Loops.
func (sim *simulation) Deliver(_ int, e delivery.Entry, _ int64) {
	for i, h := range e.Targets.Handles {
		s := sim.at(h.Slot())
		s.Deliver(sim.loop, e.Frame, i < e.Targets.Self)
		sim.flush(s)
		sim.delivered++
	}
	e.Done()
}

// Len implements delivery.Loops.
func (sim *simulation) Len() int { return 1 }

// Answer implements session.Lane. Nothing is asked here that is answered later.
func (sim *simulation) Answer(*session.Answer) { panic("bench: an answer that nobody asked for") }

// Session implements session.Lane.
func (sim *simulation) Session(h registry.Handle) *session.Session { return sim.at(h.Slot()) }
