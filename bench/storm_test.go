package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/bench/load"
	"github.com/godwit-im/godwit/bench/report"
	"github.com/godwit-im/godwit/server/auth"
)

// patientClients and hastyClients are up to where the pauses of clients grow that find no
// node: as far as the protocol has it, and with clients that are set to come back soon.
const (
	patientClients = 30 * time.Second
	hastyClients   = time.Second
)

// BenchmarkReconnectStorm kills one of two nodes, which has 18,000 clients. They come to the
// other as the protocol tells them: they try their node again, ask the other who serves
// them, each at times of its own, and connect there with their cursors as soon as it is the
// answer. The other node has 200 clients of its own that send each other 500 messages a
// second. Their latency while nine tenths of the 18,000 come, from the first welcome on, is
// compared with what it was before (x-p99); x-asking-p99 is that from the kill to the first
// welcome.
// Every one of the 18,000 must go on from its cursor with nothing missing, and every message
// must arrive exactly once.
//
// Two cores have the 18,000 to serve as well. So the same storm is made a second time, while
// the 200 are at another node on the same machine, to which nobody comes: x-elsewhere-p99.
// What lies between the two is the node's own doing.
//
// In "patient" the bound of the clients' pauses grows to 30 seconds; in "hasty", which is made
// once, to one second, so that they ask more often and come all at once. With tools/client,
// which keeps it at 3 seconds while it may be that a node is about to be replaced, it lies
// between the two.
//
//	go test ./bench -run '^$' -bench ReconnectStorm -rounds 3 -progress
func BenchmarkReconnectStorm(b *testing.B) {
	if !*quick { // it takes half a minute for the last to come
		b.Run("patient", func(b *testing.B) { storms(b, patientClients, *rounds) })
	}
	b.Run("hasty", func(b *testing.B) { storms(b, hastyClients, 1) })
}

func storms(b *testing.B, pauses time.Duration, rounds int) {
	noTime(b)
	columns := map[string][]float64{}
	for range rounds {
		away := newStorm(b, pauses, true).run()
		here := newStorm(b, pauses, false).run()
		for name, v := range map[string]float64{
			"x-p99": here.x(here.coming), "x-elsewhere-p99": away.x(away.coming),
			"x-asking-p99": here.x(here.asking), "x-elsewhere-asking-p99": away.x(away.asking),
			"before-p50-us": float64(here.before.P50), "before-p99-us": float64(here.before.P99),
			"p50-us": float64(here.coming.P50), "p99-us": float64(here.coming.P99), "max-us": float64(here.coming.Max),
			"asking-p99-us": float64(here.asking.P99),
			"first-s":       here.first.Seconds(), "all-s": float64(here.back.Max) / 1e6, "back-p50-s": float64(here.back.P50) / 1e6,
			"connects/s": here.rate, "cores": here.cores, "cpu-us/client": here.cost,
		} {
			columns[name] = append(columns[name], v)
		}
	}
	for _, name := range []string{
		"x-p99", "x-elsewhere-p99", "x-asking-p99", "x-elsewhere-asking-p99", "before-p50-us", "before-p99-us", "p50-us", "p99-us", "max-us",
		"asking-p99-us", "first-s", "back-p50-s", "all-s", "connects/s", "cores", "cpu-us/client",
	} {
		metric(b, name, report.Median(columns[name]))
	}
}

// storm is the benchmark at work: one storm on a cluster of its own.
type storm struct {
	b     *testing.B
	f     *fleet
	n     int             // clients that come
	crowd *clients        // these, first on n2 and then on n1
	quiet *load.Generator // the clients that are watched
	all   []*process
}

// storming is what came of it.
type storming struct {
	before, asking, coming load.Latency  // of the messages of those who are watched
	back                   load.Latency  // from the loss of a connection to its welcome
	first                  time.Duration // from the kill to the first welcome
	rate                   float64       // welcomes a second, from the first until nine tenths are back
	cores, theirs          float64       // that the node, and those who come, took in that time
	cost                   float64       // microseconds of CPU time that each has cost the node, from the kill on
}

// x returns the ratio of a p99 to what it was before.
func (s *storming) x(l load.Latency) float64 { return float64(l.P99) / float64(s.before.P99) }

// newStorm starts a cluster and the clients. Those that are watched are at the node that the
// others will come to or, if they are to be elsewhere, at one that has a log of its own.
func newStorm(b *testing.B, pauses time.Duration, elsewhere bool) *storm {
	b.Helper()
	const partitions = 64
	s := &storm{b: b, f: launchActive(b, partitions, 2), n: size(18_000, 300)}
	key, err := auth.ReadKey(s.f.key.File())
	if err != nil {
		b.Fatal(err)
	}
	n1, n2 := s.f.nodes["n1"], s.f.nodes["n2"]
	watched := n1.config(size(200, 40))
	watched.Prefix, watched.Key, watched.Lives = "quiet-", key, s.f.owned(b, "n1")
	if elsewhere {
		at := serve(b, kafkatest.Real(b, partitions))
		s.all = append(s.all, at.process)
		watched = at.config(watched.Connections)
		watched.Prefix = "quiet-"
	}
	crowd := n2.config(s.n)
	crowd.Key, crowd.Lives = key, s.f.owned(b, "n2")
	crowd.Follow, crowd.Seeds, crowd.MaxBackoff = true, []string{n1.addr}, pauses
	s.crowd = newClients(b, crowd)
	s.crowd.open(b, s.n)
	s.all = append(s.all, n1.process, n2.process, s.crowd.process)
	s.quiet = s.watch(watched)
	return s
}

// watch opens the connections of the clients that are watched. They are in this process, so
// that what they send can end when something else does.
func (s *storm) watch(c load.Config) *load.Generator {
	s.b.Helper()
	g, err := load.New(c)
	if err != nil {
		s.b.Fatal(err)
	}
	s.b.Cleanup(g.Close)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if r, err := g.Connect(ctx, c.Connections, 0); err != nil || r.Stats.Opened != int64(c.Connections) {
		s.b.Fatalf("of %d connections %d were opened: %v %v", c.Connections, r.Stats.Opened, r.Stats.Events, err)
	}
	return g
}

// run makes the storm, and ends all processes.
func (s *storm) run() (r storming) {
	b := s.b
	b.Helper()
	defer s.end()
	node := s.f.nodes["n1"]
	s.talk(size(3*time.Second, time.Second)) // for memory to grow as far as this takes it
	r.before = s.talk(size(8*time.Second, time.Second))

	opened := s.stats().Opened
	killed, cost := time.Now(), node.cpu(b)
	s.f.nodes["n2"].Signal(b, syscall.SIGKILL)
	r.asking = s.talkUntil(func() bool { return s.stats().Opened > opened })
	r.first = time.Since(killed)
	began, used, load := time.Now(), node.cpu(b), cpu(b, s.crowd.Pid())
	var came int64
	r.coming = s.talkUntil(func() bool {
		came = s.stats().Opened - opened
		return came >= int64(s.n-s.n/10)
	})
	took := time.Since(began).Seconds()
	r.rate, r.cores, r.theirs = float64(came)/took, (node.cpu(b)-used).Seconds()/took, (cpu(b, s.crowd.Pid())-load).Seconds()/took

	back, err := s.crowd.Back(patience)
	r.cost = perOp(node.cpu(b)-cost, int64(s.n))
	now := s.stats()
	if err != nil || now.Open != int64(s.n) || now.Resumed != int64(s.n) || now.Failed != 0 || now.Closed != int64(s.n) || back.Back.Count != int64(s.n) {
		text, _ := json.Marshal(now)
		b.Fatalf("of %d clients %d came back, %d as from their cursors: %s %v", s.n, now.Open, now.Resumed, text, err)
	}
	r.back = back.Back
	s.tell("p99 %s us before, %s while they ask, %s while they come", us(r.before), us(r.asking), us(r.coming))
	s.tell("first after %v, half after %v, all after %v; %d attempts failed, %d questions; %s connects/s, %s cores, theirs %s", r.first.Round(time.Millisecond),
		micros(r.back.P50), micros(r.back.Max), now.Retried, now.Asked, report.Number(r.rate), report.Number(r.cores), report.Number(r.theirs))
	return r
}

func us(l load.Latency) string { return report.Number(float64(l.P99)) }

func micros(v int64) time.Duration {
	return (time.Duration(v) * time.Microsecond).Round(time.Millisecond)
}

func (s *storm) tell(format string, args ...any) {
	tell("%s: %s", s.b.Name(), fmt.Sprintf(format, args...))
}

// end ends the processes: the next storm is not to have them beside it.
func (s *storm) end() {
	s.quiet.Close()
	for _, p := range s.all {
		p.Kill()
	}
}

// stats asks those who come how it goes.
func (s *storm) stats() load.Stats {
	s.b.Helper()
	now, err := s.crowd.Stats()
	if err != nil {
		s.b.Fatal(err)
	}
	return now
}

// talk has the watched clients send for a while.
func (s *storm) talk(length time.Duration) load.Latency {
	s.b.Helper()
	end := time.Now().Add(length)
	return s.talkUntil(func() bool { return !time.Now().Before(end) })
}

// talkUntil has the watched clients send until something is so. Nothing may go wrong with
// their messages.
func (s *storm) talkUntil(done func() bool) load.Latency {
	b := s.b
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ran := make(chan load.Result, 1)
	go func() {
		r, _ := s.quiet.Run(ctx, load.Traffic{Shape: load.Unicast, Size: 200, Rate: size(500.0, 200), Duration: patience})
		ran <- r
	}()
	look := time.NewTicker(10 * time.Millisecond) // it takes CPU time from what is measured
	defer look.Stop()
	for !done() {
		select {
		case <-look.C:
		case <-ctx.Done():
			text, _ := json.Marshal(s.stats())
			b.Fatalf("not so after %v: %s", patience, text)
		}
	}
	cancel()
	r := <-ran
	ok := r.Stats.Flawless()
	if *quick {
		ok = r.Stats.NothingWrong() // as in runLossy
	}
	if !ok || !r.Check.Exact() || r.Check.Unchecked != 0 || r.Stats.Stored == 0 {
		text, _ := json.Marshal(r)
		b.Fatalf("messages of those who stayed were lost, doubled or not stored: %s", text)
	}
	return r.Deliver
}
