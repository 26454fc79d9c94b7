package workload

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/tools/verify/check"
	"github.com/godwit-im/godwit/tools/verify/event"
	"github.com/godwit-im/godwit/tools/verify/rawlog"
	"github.com/godwit-im/godwit/tools/verify/wire"
	"github.com/godwit-im/godwit/tools/verify/world"
)

// limit is how long whatever has to happen may take. It only ends tests that have failed.
const limit = 2 * time.Minute

// trial is a load on a cluster of its own, and the history of it.
type trial struct {
	*Load
	t      *testing.T
	ctx    context.Context
	world  *world.World
	file   string
	writer *event.Writer

	mu      sync.Mutex
	clients map[uint64]string // by connection
	nodes   map[uint64]string // by connection that has not ended
	movers  map[string]bool   // clients that were moved
}

// begin starts a cluster and connects all devices.
func begin(t *testing.T, nodes int, o Options, flags ...string) *trial {
	t.Helper()
	kafkatest.Need(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	folder := t.TempDir()
	w, err := world.Start(ctx, world.Config{
		Binary: command, Root: root, Folder: filepath.Join(folder, "world"), Nodes: nodes, Brokers: 1, Partitions: 16, NodeFlags: flags,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	tr := &trial{
		t: t, ctx: ctx, world: w, file: filepath.Join(folder, "events.jsonl"),
		clients: make(map[uint64]string), nodes: make(map[uint64]string), movers: make(map[string]bool),
	}
	file, err := os.Create(tr.file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	begun := time.Now()
	tr.writer = event.NewWriter(file, func() time.Duration { return time.Since(begun) })
	o.Prefix, o.Token, o.Write = "t-", w.Token, tr.write
	o.URLs = func() (urls []string) {
		for _, n := range w.Nodes() {
			urls = append(urls, w.URL(n))
		}
		return urls
	}
	if tr.Load, err = New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.Close)
	tr.write("test", &event.Run{Format: event.Format, Seed: o.Seed, Start: begun.UnixMilli()})
	tr.phase(event.Warmup)
	tr.within(tr.Connect)
	return tr
}

func (tr *trial) write(by string, e event.Event) {
	if err := tr.writer.Write(by, e); err != nil {
		tr.t.Error(err)
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	switch e := e.(type) {
	case *event.Connect:
		tr.clients[e.Conn], tr.nodes[e.Conn] = e.Client, e.Node
	case *event.Close:
		delete(tr.nodes, e.Conn)
	case *event.Moved:
		tr.movers[tr.clients[e.Conn]] = true
	}
}

// servedBy returns how many connections a node has that have not ended.
func (tr *trial) servedBy(node string) (n int) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, at := range tr.nodes {
		if at == node {
			n++
		}
	}
	return n
}

// moved returns which clients were asked to leave for another node.
func (tr *trial) moved() map[string]bool {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return maps.Clone(tr.movers)
}

func (tr *trial) phase(name event.PhaseName) { tr.write("test", &event.Phase{Name: name}) }

func (tr *trial) within(do func(context.Context) error) {
	tr.t.Helper()
	ctx, cancel := context.WithTimeout(tr.ctx, limit)
	defer cancel()
	if err := do(ctx); err != nil {
		tr.t.Fatal(err)
	}
}

// until waits until the counts are as they should be.
func (tr *trial) until(what string, cond func(Counts) bool) {
	tr.t.Helper()
	for deadline := time.Now().Add(limit); !cond(tr.Counts()); time.Sleep(poll) {
		if time.Now().After(deadline) {
			tr.t.Fatalf("not so after %v: %s: %+v", limit, what, tr.Counts())
		}
	}
}

// judge ends the load as the conductor of a run does, and returns what the checks say.
func (tr *trial) judge() *check.Report {
	t := tr.t
	t.Helper()
	tr.phase(event.Heal)
	tr.Steady()
	tr.phase(event.Reconnect)
	tr.within(tr.Reconnect)
	tr.phase(event.Drain)
	tr.within(tr.Drain)
	tr.within(func(ctx context.Context) error { tr.Settle(ctx); return nil })
	if c := tr.Counts(); c.Unseen != 0 || c.OnTheWay != 0 {
		t.Errorf("at the end: %+v", c)
	}
	tr.phase(event.Read)
	without := []string{"conservation"} // nobody has read the counters
	tr.within(func(ctx context.Context) error {
		err := tr.ReadHistory(ctx)
		if errors.Is(err, ErrNoHistory) { // there is no store, and the nodes' memory goes back some minutes
			without, err = append(without, "stored_in_history"), nil
		}
		return err
	})
	end, err := rawlog.Read(tr.ctx, rawlog.Source{Brokers: tr.world.Kafka(), Topic: rawlog.Topic(tr.world.Namespace(), 1)}, func(e *event.Log) error {
		tr.write("kafka", e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	tr.write("kafka", end)
	tr.Close()
	if err := tr.writer.Flush(); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(tr.file)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	o := check.DefaultOptions()
	o.MinAcks, o.MinFaults = 100, 0
	o.Without = without
	report, err := check.Run(event.Records(file), o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// passed requires that the checks found nothing.
func (tr *trial) passed(r *check.Report) {
	tr.t.Helper()
	for _, f := range r.Findings {
		tr.t.Logf("%-22s %-10s %7d %s", f.Check, f.Verdict, f.Tested, f.Note)
		for _, e := range f.Evidence {
			tr.t.Log("    ", e.What, e.Lines)
		}
	}
	if r.Outcome != check.Passed {
		tr.t.Errorf("the run %s", r.Outcome)
		if dir := os.Getenv("GODWIT_TEST_KEEP"); dir != "" {
			b, _ := os.ReadFile(tr.file)
			_ = os.WriteFile(filepath.Join(dir, "events.jsonl"), b, 0o644)
		}
	}
}

// TestCalm has a load on a whole cluster pass all checks, with every kind of conduct in it but
// for what takes a full queue or minutes.
func TestCalm(t *testing.T) {
	tr := begin(t, 2, Options{Users: 12, Devices: 2, Rate: 100, Seed: 7}, "--limits-body-bytes", "32KiB")
	if got := tr.body.Load(); got != 32<<10 {
		t.Errorf("the limit of bodies is taken to be %d", got)
	}
	tr.Send()
	tr.until("every kind of conduct has occurred", func(c Counts) bool {
		v := reflect.ValueOf(c.Conduct)
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			// TestGaps has the one, and nodes make heartbeats every few minutes only.
			if v.Field(i).Int() == 0 && name != "CatchUps" && name != "FromHeartbeats" && name != "GivenUp" {
				return false
			}
		}
		return c.Acks > 500
	})
	if _, err := tr.world.Drain(tr.ctx, "n2"); err != nil {
		t.Fatal(err)
	}
	tr.until("devices of both clients were moved", func(Counts) bool {
		moved := tr.moved()
		return moved[wire.Client] && moved[programClient]
	})
	report := tr.judge()
	c := tr.Counts()
	t.Logf("%+v", c)
	tr.passed(report)
	if c.Violations != 0 || c.Gones != 0 || c.Unseen != 0 {
		t.Errorf("on a whole cluster: %+v", c)
	}
	if c.Nacks == 0 || c.Pages < int64(len(tr.Users())) || c.Latency.Count() != c.Acks {
		t.Errorf("the counts do not fit: %+v", c)
	}
}

// TestGaps has a device that asks for gaps not read until the node drops what is for it. It
// fetches that from history, and lacks nothing.
func TestGaps(t *testing.T) {
	tr := begin(t, 1, Options{Users: 3, Devices: 1, Rate: 300, Seed: 1}, "--limits-queue-messages", "16")
	d := tr.devices[0]
	if !d.character.gaps {
		t.Fatal("the popular user has no device that asks for gaps")
	}
	tr.pace()
	for tr.Counts().Gaps == 0 {
		at := tr.Counts()
		d.link.setPace(wire.NoPace)
		tr.until("more is sent", func(c Counts) bool { return c.Acks > at.Acks+1000 })
		d.link.setPace(wire.FullPace)
		tr.until("the device reads", func(c Counts) bool { return c.Gaps > 0 || c.Delivers > at.Delivers+3000 })
	}
	report := tr.judge()
	c := tr.Counts()
	t.Logf("%+v", c)
	tr.passed(report)
	if c.Conduct.CatchUps == 0 {
		t.Error("no page of a gap was fetched")
	}
}

// TestFaults has a load pass all checks though a node stops for a while, and another is killed.
func TestFaults(t *testing.T) {
	tr := begin(t, 2, Options{Users: 10, Devices: 2, Rate: 100, Seed: 3})
	if tr.Counts().Refusals == 0 {
		t.Error("nobody was sent to another node at the beginning")
	}
	tr.Send()
	goesOn := func() {
		t.Helper()
		before := tr.Counts()
		tr.until("the load goes on", func(c Counts) bool { return c.Acks > before.Acks+400 })
	}
	goesOn()
	tr.phase(event.Faults)
	// Those that it serves find out by its silence, and go to the other.
	if _, err := tr.world.Pause(tr.ctx, "n1"); err != nil {
		t.Fatal(err)
	}
	paused := tr.Counts()
	tr.until("all devices are elsewhere", func(c Counts) bool {
		return c.Connected >= c.Devices/2 && tr.servedBy("n1") == 0
	})
	if c := tr.Counts(); c.Connects <= paused.Connects || c.Closes <= paused.Closes {
		t.Errorf("a node stopped, and nobody has lost a connection: %+v, then %+v", paused, c)
	}
	goesOn()
	if err := tr.world.Resume("n1"); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.world.Activate(tr.ctx, "n1"); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.world.Kill("n2"); err != nil {
		t.Fatal(err)
	}
	goesOn()
	report := tr.judge()
	c := tr.Counts()
	t.Logf("%+v", c)
	tr.passed(report)
	if c.Conduct.Retries == 0 {
		t.Errorf("nothing was sent again: %+v", c)
	}
}
