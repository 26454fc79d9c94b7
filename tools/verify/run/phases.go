package run

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
	"github.com/godwit-im/godwit/tools/verify/nemesis"
	"github.com/godwit-im/godwit/tools/verify/rawlog"
	"github.com/godwit-im/godwit/tools/verify/workload"
)

// How long the parts of a run may take beside the load, on a machine that is busy with all of
// it. What takes longer is given up, which is a problem of the run.
const (
	connectTimeout   = 2 * time.Minute
	healTimeout      = 5 * time.Minute
	reconnectTimeout = 2 * time.Minute
	drainTimeout     = 2 * time.Minute
	restTimeout      = time.Minute
	historyTimeout   = 5 * time.Minute
	logTimeout       = 10 * time.Minute

	// settleSlack is how much longer than messages may take it is waited for the last one.
	settleSlack = 15 * time.Second

	// afterHealing is how long the load goes on when nothing is broken any more, so that it
	// is seen to work.
	afterHealing = 3 * time.Second
)

// conduct goes through all phases and ends what it has started. The error is that of Run.
func (r *run) conduct(ctx context.Context) (err error) {
	loading, end := whileNotEnough(ctx, r.settings.Enough)
	defer end()
	r.ending = loading.Done()
	r.progress = newProgress(r.settings.Progress)
	defer r.progress.end()
	if err = r.begin(loading); err == nil {
		defer r.cluster.close()
		err = r.phases(ctx, loading)
		r.finish()
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("run: it was given up: %w", ctx.Err())
	case err != nil && loading.Err() != nil:
		return ErrEnough
	}
	return err
}

// whileNotEnough returns a context that ends with ctx, and when enough is closed.
func whileNotEnough(ctx context.Context, enough <-chan struct{}) (loading context.Context, end func()) {
	loading, cancel := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-enough:
			cancel()
		case <-loading.Done():
		}
	}()
	return loading, func() {
		cancel()
		<-watched
	}
}

// begin starts the cluster, the history and the load, which does nothing yet.
func (r *run) begin(ctx context.Context) (err error) {
	s := r.settings
	prefix := "verify-"
	if s.Local != nil {
		r.progress.say("starting " + s.Local.String())
		if s.faulty() && s.Local.History == Pebble {
			if err := s.noDisk(); err != nil {
				r.note("no disk is filled: %v", err)
			}
		}
		if r.cluster, err = startLocal(ctx, s, r.folder); err != nil {
			return err
		}
	} else {
		// The seed would have two runs meet.
		prefix += strings.ToLower(rand.Text()[:12]) + "-"
		r.cluster = &remote{Remote: s.Remote, prefix: prefix, begun: time.Now()}
	}
	if r.journal, err = newJournal(r.out(EventsFile)); err == nil {
		r.journal.write("run", &event.Run{Format: event.Format, Seed: s.Seed, Command: s.Command, Start: r.journal.begun.UnixMilli()})
		r.load, err = workload.New(s.load(r.cluster, prefix, r.journal.write))
	}
	if err != nil {
		r.cluster.close()
		return err
	}
	r.progress.begin(r.journal.begun, r.load)
	return nil
}

// finish ends the load and the history.
func (r *run) finish() {
	r.load.Close()
	r.progress.end()
	for name, falls := range r.cluster.fallen() {
		for _, how := range falls {
			r.problem("a process has ended by itself", fmt.Errorf("%s: %s", name, how))
		}
	}
	r.problem("the history file", r.journal.close())
}

// phase begins a phase, which should last for some time; 0 if nobody knows how long.
func (r *run) phase(name event.PhaseName, lasts time.Duration) {
	r.journal.write("run", &event.Phase{Name: name})
	r.progress.phase(name, lasts)
}

// within does something with a limit of time.
func within(ctx context.Context, limit time.Duration, do func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return do(ctx)
}

// sleep waits until a time comes or ctx ends.
func sleep(ctx context.Context, until time.Time) {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// phases goes through the phases, loading being what the load lasts for.
func (r *run) phases(ctx, loading context.Context) error {
	s := r.settings
	r.phase(event.Warmup, s.warmup())
	if err := within(loading, connectTimeout, r.load.Connect); err != nil {
		if loading.Err() != nil || r.load.Counts().Connected == 0 {
			return fmt.Errorf("run: no device could connect: %w", err)
		}
		r.problem("not all devices could connect", err)
	}
	r.load.Send()
	sleep(loading, time.Now().Add(s.warmup()))
	if s.faulty() {
		r.phase(event.Faults, s.faults())
	}
	over := time.Now().Add(s.faults())
	r.faults = r.cluster.faults(loading, r.fault)
	sleep(loading, over)
	if loading.Err() != nil && ctx.Err() == nil {
		r.note("the load was ended early")
	}
	r.problem("the cluster does not heal", within(ctx, healTimeout, r.cluster.heal))
	r.tellFaults()

	r.phase(event.Heal, afterHealing)
	r.load.Steady()
	sleep(ctx, time.Now().Add(afterHealing))
	r.phase(event.Reconnect, 0)
	r.problem("not all devices are connected at the end", within(ctx, reconnectTimeout, r.load.Reconnect))
	r.phase(event.Drain, 0)
	r.problem("sends have no outcome", within(ctx, drainTimeout, r.load.Drain))
	_ = within(ctx, s.Converge+settleSlack, func(ctx context.Context) error {
		r.load.Settle(ctx)
		return nil
	})
	// The checks ask nothing of a device that is away when the reading begins.
	r.problem("not all devices are connected for the reading", within(ctx, reconnectTimeout, r.load.Reconnect))
	r.phase(event.Read, 0)
	r.read(ctx)
	return nil
}

// fault writes a step of a fault.
func (r *run) fault(e *event.Fault) {
	r.journal.write("nemesis", e)
	r.progress.fault(e)
}

// tellFaults says what became of the faults, beyond what the history has.
func (r *run) tellFaults() {
	late := 0
	var kinds []string // that were wanted, and of which none was done
	if r.settings.faulty() {
		for _, k := range r.settings.Local.Faults {
			if !slices.ContainsFunc(r.faults, func(o nemesis.Outcome) bool { return o.Step.Kind == k && o.Begun >= 0 }) {
				kinds = append(kinds, string(k))
			}
		}
	}
	for _, o := range r.faults {
		if errors.Is(o.Err, nemesis.ErrLate) {
			late++
		} else {
			r.problem("a fault", o.Err)
		}
	}
	if late > 0 {
		r.note("%d of %d faults were not begun, because there was no time left for them", late, len(r.faults))
	}
	if len(kinds) > 0 {
		r.note("the run was too short for faults of these kinds: %s", strings.Join(kinds, ", "))
	}
}

// read makes the readings. The log is the last: what is stored meanwhile is left alone.
func (r *run) read(ctx context.Context) {
	r.problem("the nodes' counters were not read", within(ctx, restTimeout, r.readCounters))
	if r.settings.history() {
		r.problem("history was not read", within(ctx, historyTimeout, r.load.ReadHistory))
	}
	source, ok := r.cluster.log()
	if !ok {
		return
	}
	r.problem("the log was not read", within(ctx, logTimeout, func(ctx context.Context) error {
		end, err := rawlog.Read(ctx, source, func(e *event.Log) error {
			r.journal.write("kafka", e)
			return nil
		})
		if err == nil {
			r.journal.write("kafka", end)
		}
		return err
	}))
}

// readCounters writes the counters of every node at rest, for which it waits until ctx ends.
func (r *run) readCounters(ctx context.Context) error {
	admins := r.cluster.admins()
	var errs []error
	for _, node := range slices.Sorted(maps.Keys(admins)) {
		m, err := restingMetrics(ctx, admins[node])
		errs = append(errs, err)
		for _, name := range slices.Sorted(maps.Keys(m)) {
			r.journal.write("metrics", &event.Counter{Node: node, Name: name, Value: m[name]})
		}
	}
	return errors.Join(errs...)
}
