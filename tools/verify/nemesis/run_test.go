package nemesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
	"github.com/godwit-im/godwit/tools/verify/proxy"
	"github.com/godwit-im/godwit/tools/verify/world"
)

// fake is a World that takes its time and notes what is done to it.
type fake struct {
	begun time.Time
	start time.Duration    // how long a process takes to start
	fails map[string]error // what calls return, such as "start n1"
	idle  bool             // no link is used
	late  time.Duration    // when all links are used for the first time; 0 for never

	mu     sync.Mutex
	said   []string // each with its time
	state  map[string]string
	counts map[string]proxy.Counts
	modes  map[string]proxy.Mode
	worst  int // the most processes that were not up at a time
}

func newFake() *fake {
	return &fake{begun: time.Now(), start: 2 * time.Second, fails: make(map[string]error),
		state: make(map[string]string), counts: make(map[string]proxy.Counts), modes: make(map[string]proxy.Mode)}
}

// call notes that something was done and returns its error.
func (w *fake) call(what string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, fmt.Sprintf("%v %s", time.Since(w.begun).Round(time.Second), what))
	return "evidence of " + what, w.fails[what]
}

func (w *fake) set(name, state string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state[name] = state
	down := 0
	for _, s := range w.state {
		if s != "" {
			down++
		}
	}
	w.worst = max(w.worst, down)
}

func (w *fake) Kill(name string) (string, error) {
	w.set(name, "dead")
	return w.call("kill " + name)
}

func (w *fake) Stop(_ context.Context, name string) (string, error) {
	w.set(name, "dead")
	return w.call("stop " + name)
}

func (w *fake) Pause(_ context.Context, name string) (string, error) {
	w.set(name, "paused")
	return w.call("pause " + name)
}

func (w *fake) Resume(name string) error {
	w.set(name, "")
	_, err := w.call("resume " + name)
	return err
}

func (w *fake) Start(ctx context.Context, name string) error {
	if !sleep(ctx, w.start) {
		return ctx.Err()
	}
	w.set(name, "")
	_, err := w.call("start " + name)
	return err
}

func (w *fake) Treat(name string, way world.Way, t proxy.Treatment) error {
	w.mu.Lock()
	link := name + " " + string(way)
	w.modes[link] = t.Mode
	c := w.counts[link]
	switch {
	case w.idle:
	case t.Mode == proxy.Cut:
		c.Reset += 2
	case t.Mode == proxy.Hang:
		c.HeldBytes += 100
	case t.Mode == proxy.Slow:
		c.SlowedBytes += 1000
	}
	w.counts[link] = c
	w.mu.Unlock()
	_, err := w.call(fmt.Sprintf("%v %s", t.Mode, link))
	return err
}

func (w *fake) Counts(name string, way world.Way) (proxy.Counts, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.counts[name+" "+string(way)]
	if w.late > 0 && time.Since(w.begun) >= w.late {
		c.HeldBytes++
	}
	return c, nil
}

func (w *fake) Controller(context.Context) (string, error) {
	_, err := w.call("controller")
	return "n2", err
}

func (w *fake) Activate(_ context.Context, node string) (string, error) {
	return w.call("activate " + node)
}

func (w *fake) Move(_ context.Context, node string, pick uint64) (string, error) {
	return w.call(fmt.Sprintf("move %d to %s", pick, node))
}

func (w *fake) Fill(_ context.Context, node string) (string, error) { return w.call("fill " + node) }

func (w *fake) Empty() error {
	_, err := w.call("empty")
	return err
}

func (w *fake) Written(_ context.Context, node string) (string, error) {
	return w.call("written " + node)
}

func (w *fake) Lead(_ context.Context, broker string, pick uint64) (string, error) {
	return w.call(fmt.Sprintf("lead %d by %s", pick, broker))
}

func (w *fake) Drain(_ context.Context, node string) (string, error) { return w.call("drain " + node) }

// told is what Run reported, as text.
type told []string

func (t *told) report(e *event.Fault) {
	*t = append(*t, fmt.Sprintf("%d %s %s %s", e.N, e.Kind, e.Target, e.Phase))
}

// TestFaults does every kind of fault by itself.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		kind   Kind
		target string
		want   string // what is done to the world
	}{
		{NodeKill, "n1", "1s kill n1, 13s start n1, 13s activate n1"},
		{NodePause, "n1", "1s pause n1, 11s resume n1, 11s activate n1"},
		{NodeRestart, "n1", "1s stop n1, 13s start n1, 13s activate n1"},
		{RollingRestart, AllNodes, "1s stop n1, 13s start n1, 13s activate n1, 13s stop n2, 25s start n2, 25s activate n2"},
		{ControllerKill, TheController, "1s controller, 1s kill n2, 13s start n2, 13s activate n2"},
		{ControllerPause, TheController, "1s controller, 1s pause n2, 11s resume n2, 11s activate n2"},
		{BrokerKill, "kafka1", "1s kill kafka1, 13s start kafka1"},
		{BrokerPause, "kafka1", "1s pause kafka1, 11s resume kafka1"},
		{NodeStrand, "n1", "1s cut n1 kafka, 3s kill n1, 3s pass n1 kafka, 15s start n1, 15s activate n1"},
		{BrokerStrand, "kafka1", "1s pause kafka2, 1s pause kafka3, 3s kill kafka1, 3s resume kafka2, 3s resume kafka3, 15s start kafka1"},
		{HistoryKill, "history1", "1s kill history1, 13s start history1"},
		{HistoryPause, "history1", "1s pause history1, 11s resume history1"},
		{KafkaCut, "n1", "1s cut n1 kafka, 11s pass n1 kafka, 11s activate n1"},
		{KafkaHang, "n1", "1s hang n1 kafka, 11s pass n1 kafka, 11s activate n1"},
		{KafkaSlow, "n1", "1s slow n1 kafka, 11s pass n1 kafka, 11s activate n1"},
		{ClientsCut, "n1", "1s cut n1 clients, 11s pass n1 clients, 11s activate n1"},
		{ClientsHang, "n1", "1s hang n1 clients, 11s pass n1 clients, 11s activate n1"},
		{ClientsSlow, "n1", "1s slow n1 clients, 11s pass n1 clients, 11s activate n1"},
		{StoreCut, "n1", "1s cut n1 store, 11s pass n1 store, 11s activate n1"},
		{StoreHang, "history1", "1s hang history1 store, 11s pass history1 store"},
		{DiskFull, "n1", "1s fill n1, 6s kill n1, 8s start n1, 11s empty, 11s activate n1, 11s written n1"},
		{LeaderMove, "kafka2", "1s lead 7 by kafka2"},
		{Move, "n1", "1s move 7 to n1"},
		{Drain, "n1", "1s drain n1, 11s activate n1"},
	} {
		t.Run(string(c.kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, s, said := newFake(), worldOf(2, 3, 1, false), told(nil)
				step := Step{At: time.Second, Kind: c.kind, Target: c.target, Length: 10 * time.Second, Pick: 7}
				out := Run(t.Context(), w, s, []Step{step}, said.report)
				if len(out) != 1 || out[0] != (Outcome{Step: step, Begun: time.Second, Hit: true}) {
					t.Errorf("the outcome is %+v", out)
				}
				if got := strings.Join(w.said, ", "); got != c.want {
					t.Errorf("what was done:\n%s\nwant:\n%s", got, c.want)
				}
				var want []string
				for _, phase := range []string{"begin", "hit", "end"} {
					want = append(want, fmt.Sprintf("1 %s %s %s", c.kind, c.target, phase))
				}
				if c.kind == RollingRestart {
					want = slices.Insert(want, 1, want[1]) // of the second node
				}
				if !slices.Equal(said, want) {
					t.Errorf("reported was %q, want %q", said, want)
				}
			})
		})
	}
}

// TestFaultsFail has the world fail at every step.
func TestFaultsFail(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		kind   Kind
		target string
		fails  string
		hit    bool
	}{
		{NodeKill, "n1", "kill n1", false},
		{NodeKill, "n1", "start n1", true},
		{NodeKill, "n1", "activate n1", true},
		{NodePause, "n1", "pause n1", false},
		{NodePause, "n1", "resume n1", true},
		{NodeRestart, "n1", "stop n1", false},
		{RollingRestart, AllNodes, "stop n2", false}, // one of two was hit
		{ControllerKill, TheController, "controller", false},
		{KafkaCut, "n1", "cut n1 kafka", false},
		{KafkaCut, "n1", "pass n1 kafka", true},
		{KafkaCut, "n1", "activate n1", true},
		{NodeStrand, "n1", "cut n1 kafka", false},
		{NodeStrand, "n1", "kill n1", false},
		{NodeStrand, "n1", "pass n1 kafka", false},
		{NodeStrand, "n1", "start n1", true},
		{BrokerStrand, "kafka2", "pause kafka3", false},
		{BrokerStrand, "kafka2", "kill kafka2", false},
		{BrokerStrand, "kafka2", "resume kafka1", false},
		{DiskFull, "n1", "fill n1", false},
		{DiskFull, "n1", "empty", true},
		{DiskFull, "n1", "activate n1", true},
		{DiskFull, "n1", "written n1", true},
		{LeaderMove, "kafka2", "lead 0 by kafka2", false},
		{Move, "n1", "move 0 to n1", false},
		{Drain, "n1", "drain n1", false},
		{Drain, "n1", "activate n1", true},
	} {
		t.Run(string(c.kind)+" "+c.fails, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, said := newFake(), told(nil)
				w.fails[c.fails] = broken
				out := Run(t.Context(), w, worldOf(2, 3, 1, false), []Step{{Kind: c.kind, Target: c.target, Length: time.Second}}, said.report)
				if !errors.Is(out[0].Err, broken) || out[0].Hit != c.hit {
					t.Errorf("the outcome is %+v", out[0])
				}
				if slices.ContainsFunc(said, func(s string) bool { return strings.HasSuffix(s, "end") }) {
					t.Errorf("it was reported to have ended: %q", said)
				}
			})
		})
	}
}

// TestNotHit cuts a link that nobody uses: nothing is shown, and so nothing is reported.
func TestNotHit(t *testing.T) {
	for _, k := range []Kind{KafkaCut, KafkaHang, KafkaSlow} {
		synctest.Test(t, func(t *testing.T) {
			w, said := newFake(), told(nil)
			w.idle = true
			out := Run(t.Context(), w, worldOf(2, 1, 0, false), []Step{{Kind: k, Target: "n1", Length: 10 * time.Second}}, said.report)
			if out[0].Hit || out[0].Err != nil || len(said) != 2 {
				t.Errorf("%s: %+v, reported %q", k, out[0], said)
			}
		})
	}
}

// TestHitLate hangs a link that is used only after the time that it should hang: it does so
// until then, and no longer.
func TestHitLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, said := newFake(), told(nil)
		w.idle, w.late = true, 15*time.Second
		out := Run(t.Context(), w, worldOf(2, 1, 0, false), []Step{{Kind: KafkaHang, Target: "n1", Length: 10 * time.Second}}, said.report)
		if !out[0].Hit || out[0].Err != nil || len(said) != 3 {
			t.Errorf("%+v, reported %q", out[0], said)
		}
		if took := time.Since(w.begun); took < 15*time.Second || took > 16*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// TestRunKeepsApart has processes that take longer to start than the schedule reckons with:
// still one node is up at any time, and steps for which no time is left are not begun.
func TestRunKeepsApart(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			s := worldOf(2, 1, 0, false)
			s.Duration, s.Kinds = 5*time.Minute, []Kind{NodeKill, NodePause, NodeRestart, ControllerKill, RollingRestart}
			steps, err := Schedule(seed, s)
			if err != nil {
				t.Fatal(err)
			}
			w, said := newFake(), told(nil)
			w.start = 40 * time.Second
			out := Run(t.Context(), w, s, steps, said.report)
			if w.worst != 1 {
				t.Errorf("seed %d: %d of 2 nodes were down at a time", seed, w.worst)
			}
			late := 0
			for i, o := range out {
				switch {
				case errors.Is(o.Err, ErrLate) && o.Begun == -1 && !o.Hit:
					late++
				case o.Err != nil || !o.Hit || o.Begun < steps[i].At || o.Begun+steps[i].Length > s.Duration:
					t.Errorf("seed %d: step %d: %+v", seed, i, o)
				}
			}
			if late == 0 || late == len(out) {
				t.Errorf("seed %d: %d of %d steps were too late", seed, late, len(out))
			}
		})
	}
}

// TestRunEnds ends a run in the middle of faults: what is paused goes on, and links pass.
func TestRunEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		w, said := newFake(), told(nil)
		out := Run(ctx, w, worldOf(4, 3, 0, false), []Step{
			{At: time.Second, Kind: NodePause, Target: "n1", Length: 10 * time.Second},
			{At: 2 * time.Second, Kind: KafkaHang, Target: "n2", Length: 10 * time.Second},
			{At: 3 * time.Second, Kind: BrokerKill, Target: "kafka1", Length: 10 * time.Second}, // waits
			{At: time.Minute, Kind: NodeKill, Target: "n1", Length: 10 * time.Second},
		}, said.report)
		for i, o := range out[:2] {
			if !o.Hit || !errors.Is(o.Err, context.DeadlineExceeded) {
				t.Errorf("step %d: %+v", i, o)
			}
		}
		for i, o := range out[2:] {
			if o.Begun != -1 || !errors.Is(o.Err, ErrLate) {
				t.Errorf("step %d: %+v", i+2, o)
			}
		}
		if w.state["n1"] != "" || w.modes["n2 kafka"] != proxy.Pass {
			t.Errorf("n1 is %q, the link of n2 is to %v", w.state["n1"], w.modes["n2 kafka"])
		}
		if got := time.Since(w.begun); got != 5*time.Second {
			t.Errorf("it returned after %v", got)
		}
	})
}

// TestRunEndsStranded ends a run while something is cut off and not killed yet: what was cut
// off by that is undone, and nothing was shown.
func TestRunEndsStranded(t *testing.T) {
	for _, step := range []Step{{Kind: NodeStrand, Target: "n1"}, {Kind: BrokerStrand, Target: "kafka1"}} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), stranded/2)
			defer cancel()
			w, said := newFake(), told(nil)
			out := Run(ctx, w, worldOf(2, 3, 0, false), []Step{step}, said.report)
			if out[0].Hit || !errors.Is(out[0].Err, context.DeadlineExceeded) {
				t.Errorf("%s: %+v", step.Kind, out[0])
			}
			for name, state := range w.state {
				if state != "" {
					t.Errorf("%s: %s is %s", step.Kind, name, state)
				}
			}
			if w.modes["n1 kafka"] != proxy.Pass {
				t.Errorf("%s: the link of n1 is to %v", step.Kind, w.modes["n1 kafka"])
			}
		})
	}
}

// TestStrandIdle cuts a node off that has no connection: it is left alone.
func TestStrandIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, said := newFake(), told(nil)
		w.idle = true
		out := Run(t.Context(), w, worldOf(2, 1, 0, false), []Step{{Kind: NodeStrand, Target: "n1", Length: time.Second}}, said.report)
		if out[0].Hit || out[0].Err == nil || w.state["n1"] != "" || w.modes["n1 kafka"] != proxy.Pass {
			t.Errorf("%+v, n1 is %q", out[0], w.state["n1"])
		}
	})
}

// TestDiskFull has a disk full whose node lives, one that cannot be filled, and one that is
// full when the run ends: it is emptied in all cases.
func TestDiskFull(t *testing.T) {
	for _, c := range []struct {
		fails string
		limit time.Duration
		want  string
	}{
		{"", time.Minute, "0s fill n1, 10s empty, 10s activate n1, 10s written n1"},
		{"fill n1", time.Minute, "0s fill n1, 0s empty"},
		{"", 5 * time.Second, "0s fill n1, 5s empty"},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), c.limit)
			defer cancel()
			w, said := newFake(), told(nil)
			w.fails[c.fails] = errors.New("broken")
			out := Run(ctx, w, worldOf(1, 1, 1, true), []Step{{Kind: DiskFull, Target: "n1", Length: 10 * time.Second, Pick: 8}}, said.report)
			if got := strings.Join(w.said, ", "); got != c.want {
				t.Errorf("what was done: %s, want: %s", got, c.want)
			}
			if whole := strings.HasSuffix(c.want, "written n1"); whole != (out[0].Err == nil) {
				t.Errorf("%+v", out[0])
			}
		})
	}
}
