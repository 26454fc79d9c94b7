package nemesis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
	"github.com/godwit-im/godwit/tools/verify/proxy"
	"github.com/godwit-im/godwit/tools/verify/world"
)

// World is what faults are done to. Evidence is a sentence that shows that something has
// happened. The methods are called by several goroutines at a time.
type World interface {
	// Kill ends a process as kill -9 does and returns when it is gone.
	Kill(name string) (evidence string, err error)
	// Stop tells a process to end and returns when it has.
	Stop(ctx context.Context, name string) (evidence string, err error)
	// Start starts a process again that has ended, and returns when it serves.
	Start(ctx context.Context, name string) error
	// Pause stops the threads of a process and returns when all have stopped.
	Pause(ctx context.Context, name string) (evidence string, err error)
	// Resume lets it go on.
	Resume(name string) error

	// Treat changes what is done to the connections of a process on one way.
	Treat(name string, way world.Way, t proxy.Treatment) error
	// Counts returns what was done to them so far.
	Counts(name string, way world.Way) (proxy.Counts, error)

	// Controller returns the node that decides.
	Controller(ctx context.Context) (node string, err error)
	// Activate returns when a node that runs is active and serves its share, which it asks for
	// where that was given to others.
	Activate(ctx context.Context, node string) (evidence string, err error)
	// Move moves some partitions to a node and returns when they are there. pick chooses which.
	Move(ctx context.Context, node string, pick uint64) (evidence string, err error)
	// Drain has a node hand over all partitions and returns when it has none.
	Drain(ctx context.Context, node string) (evidence string, err error)
	// Fill fills the disk of a node's history and returns when the node cannot write to it.
	Fill(ctx context.Context, node string) (evidence string, err error)
	// Empty removes what fills it.
	Empty() error
	// Written returns when a node writes history.
	Written(ctx context.Context, node string) (evidence string, err error)

	// Lead has a broker lead some partitions of the log and returns when it does. pick chooses
	// which.
	Lead(ctx context.Context, broker string, pick uint64) (evidence string, err error)
}

var _ World = (*world.World)(nil)

// Outcome is what became of a Step.
type Outcome struct {
	Step Step
	// Begun is when it was begun, since the faults began; -1 if it was not.
	Begun time.Duration
	// Hit is whether it was seen to have an effect; of a RollingRestart, on every node.
	Hit bool
	// Err says what the world did not do: ErrLate for what was not begun, else something
	// that did not come back.
	Err error
}

const (
	// undoTimeout bounds the time until a process that was ended serves again, and a node has
	// its partitions, on a machine that is busy with all of them.
	undoTimeout = 3 * time.Minute

	// askTimeout bounds what is asked of the cluster while it should be well.
	askTimeout = time.Minute

	// idlePatience is how much longer than it should a fault lasts on a link that nobody uses: a
	// node asks the store of history only when somebody looks far back.
	idlePatience = 20 * time.Second

	// hitPoll is how often it is looked whether a link that is disturbed was used.
	hitPoll = 20 * time.Millisecond
)

// What is done to a slow link: a far continent and a poor line, but not a dead one. Kafka's
// connections carry everything of a node, those of clients what one of them gets.
var (
	slowKafka  = proxy.Treatment{Mode: proxy.Slow, Latency: 100 * time.Millisecond, BytesPerSecond: 1 << 20}
	slowClient = proxy.Treatment{Mode: proxy.Slow, Latency: 200 * time.Millisecond, BytesPerSecond: 16 << 10}
)

// ErrLate is the error of a step for which there was no time left, since others took longer
// than the schedule reckoned with.
var ErrLate = errors.New("nemesis: there was no time left for it")

// Run carries out the steps of Schedule for s and returns when all are over, or ctx is: then
// processes that were ended stay so. report is told what is done, by one goroutine at a
// time, and the number of a fault is that of its step, from 1.
func Run(ctx context.Context, w World, s Settings, steps []Step, report func(*event.Fault)) []Outcome {
	r := &run{world: w, settings: s, report: report}
	begun := time.Now()
	outcomes := make([]Outcome, len(steps))
	for i, step := range steps {
		outcomes[i] = Outcome{Step: step, Begun: -1, Err: ErrLate}
	}
	var (
		doing   sync.WaitGroup
		lasting = make(map[int]Step) // by their indices
		ended   = make(chan int, len(steps))
	)
	defer doing.Wait()
	for i, step := range steps {
		if !sleep(ctx, time.Until(begun.Add(step.At))) {
			break
		}
		if !r.room(ctx, lasting, ended, step) {
			break
		}
		at := time.Since(begun)
		if at+step.Length > s.Duration {
			continue
		}
		lasting[i] = step
		doing.Go(func() {
			hit, err := r.do(ctx, i+1, step)
			outcomes[i] = Outcome{Step: step, Begun: at, Hit: hit, Err: err}
			ended <- i
		})
	}
	doing.Wait()
	return outcomes
}

// sleep waits and reports whether ctx lasts.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// run is a run of a schedule.
type run struct {
	world    World
	settings Settings

	mu     sync.Mutex // for one report at a time
	report func(*event.Fault)
}

// room waits until a step may begin with those that last, and reports whether ctx lasts.
func (r *run) room(ctx context.Context, lasting map[int]Step, ended <-chan int, step Step) bool {
	for {
		for more := true; more; {
			select {
			case i := <-ended:
				delete(lasting, i)
			default:
				more = false
			}
		}
		var list []Step
		for _, other := range lasting {
			list = append(list, other)
		}
		if r.settings.together(list, step) {
			return true
		}
		select {
		case i := <-ended:
			delete(lasting, i)
		case <-ctx.Done():
			return false
		}
	}
}

// fault is a step while it is done.
type fault struct {
	*run
	n    int
	step Step
	hits int
}

// tell reports a phase.
func (f *fault) tell(phase event.FaultPhase, format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if phase == event.Hit {
		f.hits++
	}
	f.report(&event.Fault{N: f.n, Kind: string(f.step.Kind), Target: f.step.Target, Phase: phase, Detail: fmt.Sprintf(format, args...)})
}

// do does a fault, waits and undoes it.
func (r *run) do(ctx context.Context, n int, step Step) (hit bool, err error) {
	f := &fault{run: r, n: n, step: step}
	k := kinds[step.Kind]
	targets := []string{step.Target}
	f.tell(event.Begin, "for %v", step.Length)
	switch k.part {
	case theController:
		asking, cancel := context.WithTimeout(ctx, askTimeout)
		targets[0], err = r.world.Controller(asking)
		cancel()
	case allNodes:
		targets = r.settings.Nodes
	}
	if err == nil {
		err = f.each(ctx, k, targets)
	}
	hit = f.hits >= len(targets)
	if err != nil {
		return hit, fmt.Errorf("nemesis: fault %d, %s of %s: %w", n, step.Kind, step.Target, err)
	}
	return hit, nil
}

// each does a fault to one process after the other.
func (f *fault) each(ctx context.Context, k kind, targets []string) error {
	var end string
	for _, target := range targets {
		var err error
		switch k.deed {
		case kill, pause, restart, strand:
			end, err = f.process(ctx, k, target)
		case cut, hang, slow:
			end, err = f.link(ctx, k, target)
		case fill:
			end, err = f.disk(ctx, target)
		default:
			end, err = f.request(ctx, k, target)
		}
		if err != nil {
			return err
		}
	}
	f.tell(event.End, "%s", end)
	return nil
}
