package bench

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/godwit-im/godwit/bench/load"
)

// clients are the connections of a load process.
type clients struct {
	*process
	*load.Remote
}

// newClients starts a load process for a configuration.
func newClients(tb testing.TB, c load.Config) *clients {
	tb.Helper()
	program, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	p := launch(tb, []string{loadVariable + "=1"}, program)
	l := &clients{p, load.NewRemote(p.stdin, p.stdout)}
	if err := l.Start(c); err != nil {
		tb.Fatal(err)
	}
	return l
}

// config is that of n users of a node, each with a connection.
func (s *server) config(n int) load.Config {
	return load.Config{Addr: s.addr, Protocol: load.Proto, Connections: n, Key: key, Partitions: s.log.Partitions}
}

// clientsOf starts a load process for n users of a node.
func clientsOf(tb testing.TB, s *server, n int) *clients {
	tb.Helper()
	return newClients(tb, s.config(n))
}

// open opens n connections, all of which must be welcomed.
func (c *clients) open(tb testing.TB, n int) load.Result {
	tb.Helper()
	r, err := c.Connect(n, 0, patience)
	if err != nil || r.Stats.Opened != int64(n) || r.Stats.Failed != 0 {
		tb.Fatalf("of %d connections %d were opened: %v %v", n, r.Stats.Opened, r.Stats.Events, err)
	}
	return r
}

// fedClientsOf is clientsOf with a feed: a second node on the same log, which takes the
// sends of groups. All connections are open.
func fedClientsOf(tb testing.TB, s *server, n int, change ...func(*load.Config)) *clients {
	tb.Helper()
	config := s.config(n)
	for _, f := range change {
		f(&config)
	}
	config.Feed = serve(tb, s.log).addr
	c := newClients(tb, config)
	c.open(tb, n)
	if r, err := c.OpenFeed(patience); err != nil || r.Stats.Failed != 0 {
		tb.Fatalf("the feed: %v %v", r.Stats.Events, err)
	}
	return c
}

// run runs traffic, of which every message must arrive at every connection it is for
// exactly once.
func (c *clients) run(tb testing.TB, t load.Traffic) load.Result {
	tb.Helper()
	r := c.runLossy(tb, t)
	if r.Check.Unchecked != 0 {
		tb.Fatalf("%d connections could not be checked", r.Check.Unchecked)
	}
	return r
}

// runLossy is run where some connections do not read: those are not checked.
func (c *clients) runLossy(tb testing.TB, t load.Traffic) load.Result {
	tb.Helper()
	r, err := c.Run(t)
	if err != nil {
		tb.Fatal(err)
	}
	ok := r.Stats.Flawless()
	if *quick {
		// A busy machine may be too slow for a fixed rate: that is no defect, and not what a
		// small run is there to see.
		ok = r.Stats.NothingWrong()
	}
	if !ok || !r.Check.Exact() || r.Stats.Stored == 0 {
		text, _ := json.Marshal(r)
		tb.Fatalf("messages were lost, doubled or not stored: %s", text)
	}
	return r
}

// runRefused is run where the node may refuse sends for the moment, because it has all
// the work that it takes on: it says so, stores nothing, and nothing is lost. It returns
// how many those were.
func (c *clients) runRefused(tb testing.TB, t load.Traffic) (r load.Result, refused int64) {
	tb.Helper()
	r, err := c.Run(t)
	if err != nil {
		tb.Fatal(err)
	}
	if !r.Stats.NothingWrong() || !r.Check.Exact() || r.Stats.Stored == 0 || r.Check.Unchecked != 0 {
		text, _ := json.Marshal(r)
		tb.Fatalf("messages were lost, doubled or not stored: %s", text)
	}
	return r, r.Stats.Retryable
}

// usage returns what the load process has taken.
func (c *clients) usage(tb testing.TB) load.Usage {
	tb.Helper()
	u, err := c.Usage()
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

// start runs traffic beside that of others, and returns when a node has stored some more
// messages than before. finish waits for its end.
func (c *clients) start(tb testing.TB, s *server, t load.Traffic, some float64) (finish func() load.Result) {
	tb.Helper()
	stored := func() float64 { return s.metrics(tb).value(tb, `godwit_acks_total{status="stored"}`) }
	before := stored()
	type outcome struct {
		result load.Result
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		r, err := c.Run(t)
		done <- outcome{r, err}
	}()
	eventually(tb, "the traffic has begun", func() bool { return stored() >= before+some })
	return func() load.Result {
		o := <-done
		if o.err != nil {
			tb.Fatal(o.err)
		}
		return o.result
	}
}

// frames waits until n more frames came than before.
func (c *clients) frames(tb testing.TB, before load.Stats, n int64) load.Stats {
	tb.Helper()
	var s load.Stats
	eventually(tb, "every frame has arrived", func() bool {
		var err error
		if s, err = c.Stats(); err != nil {
			tb.Fatal(err)
		}
		return s.Frames-before.Frames >= n
	})
	if s.Frames-before.Frames != n || s.Closed != before.Closed {
		tb.Fatalf("%d frames came, want %d; %d connections ended", s.Frames-before.Frames, n, s.Closed-before.Closed)
	}
	return s
}

// perOp returns CPU time in microseconds for each of n.
func perOp(d time.Duration, n int64) float64 {
	return float64(d) / float64(time.Microsecond) / float64(n)
}
