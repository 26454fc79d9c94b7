package workload

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
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
	tr := &trial{t: t, ctx: ctx, world: w, file: filepath.Join(folder, "events.jsonl")}
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
	if c := tr.Counts(); c.Unseen != 0 || c.OnTheWay != 0 || c.Connected != c.Devices {
		t.Errorf("at the end: %+v", c)
	}
	tr.phase(event.Read)
	tr.within(tr.ReadHistory)
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
	o.Without = []string{"conservation"} // nobody has read the counters
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

// TestKill has a load pass all checks though a node is killed under it.
func TestKill(t *testing.T) {
	tr := begin(t, 2, Options{Users: 10, Devices: 2, Rate: 100, Seed: 3})
	tr.Send()
	tr.until("messages are acknowledged", func(c Counts) bool { return c.Acks > 200 })
	tr.phase(event.Faults)
	if _, err := tr.world.Kill("n1"); err != nil {
		t.Fatal(err)
	}
	before := tr.Counts()
	if before.Refusals == 0 {
		t.Error("nobody was sent to another node at the beginning")
	}
	tr.until("what the node had is served again", func(c Counts) bool { return c.Acks > before.Acks+500 })
	tr.within(func(ctx context.Context) error { return tr.world.Start(ctx, "n1") })
	tr.until("the load goes on", func(c Counts) bool { return c.Acks > before.Acks+800 })
	report := tr.judge()
	c := tr.Counts()
	t.Logf("%+v", c)
	tr.passed(report)
	if c.Connects <= before.Connects || c.Closes <= before.Closes {
		t.Errorf("a node was killed, and nobody has lost a connection: %+v, then %+v", before, c)
	}
}
