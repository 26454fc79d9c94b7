package nemesis

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/godwit-im/godwit/tools/verify/world"
)

// Settings is what a schedule is made for.
type Settings struct {
	// Duration is how long it may last. Every fault is over by then, with time to recover.
	Duration time.Duration
	// Kinds are the faults that are wanted. Each is done as often as the others, or once less.
	Kinds []Kind
	// Nodes, Brokers and History name the processes of the world.
	Nodes, Brokers, History []string
	// Store is whether nodes and history processes have a Cassandra.
	Store bool
	// Disk is whether the history of a node is on a disk that can be filled.
	Disk bool
	// Outage allows all nodes to be down at once, or as many brokers as Kafka cannot do
	// without. Else at least one node is whole at any time, and more than half of the brokers.
	Outage bool
}

// Step is one fault of a schedule.
type Step struct {
	At     time.Duration // since the faults began
	Kind   Kind
	Target string // a process; "controller" and "nodes" for those that have no one target
	Length time.Duration
	// Pick chooses where there is a choice that only the world can make, such as the
	// partitions that move.
	Pick uint64
}

// The targets that are no process.
const (
	TheController = "controller"
	AllNodes      = "nodes"
)

const (
	// maxOverlap is how many faults may last at the same time.
	maxOverlap = 2
	// minPause and maxPause bound the time from when a fault may begin to when it does.
	minPause = time.Second
	maxPause = 4 * time.Second
)

// ErrNoRoom is the error of a duration that is too short for any of the faults.
var ErrNoRoom = errors.New("nemesis: the duration is too short for any fault")

// Schedule returns steps in the order in which they begin. The same seed and settings make
// the same schedule.
func Schedule(seed uint64, s Settings) ([]Step, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	var (
		random  = rand.New(rand.NewPCG(seed, 0))
		steps   []Step
		bag     []Kind // what is left of a round of all kinds
		at      time.Duration
		between = func(least, most time.Duration) time.Duration {
			return (least + time.Duration(random.Int64N(int64(most-least)+1))).Round(time.Millisecond)
		}
	)
	for {
		if len(bag) == 0 {
			bag = slices.Sorted(slices.Values(s.Kinds))
			random.Shuffle(len(bag), func(i, j int) { bag[i], bag[j] = bag[j], bag[i] })
		}
		k := kinds[bag[0]]
		targets := s.targets(k.part)
		step := Step{
			Kind: bag[0], Target: targets[random.IntN(len(targets))],
			Length: between(k.least, k.most), Pick: random.Uint64(),
		}
		bag = bag[1:]
		// About half of them begin while others last, where that may be.
		if random.IntN(2) == 0 {
			for _, other := range steps {
				at = max(at, s.over(other))
			}
		}
		step.At = at + between(minPause, maxPause)
		for !s.admits(steps, step) {
			step.At = s.nextEnd(steps, step.At)
		}
		if s.over(step) > s.Duration {
			if len(steps) == 0 {
				return nil, ErrNoRoom
			}
			return steps, nil
		}
		steps = append(steps, step)
		at = step.At
	}
}

// check says which of the kinds cannot be done.
func (s Settings) check() error {
	if len(s.Kinds) == 0 {
		return errors.New("nemesis: no kinds of faults are named")
	}
	for _, name := range s.Kinds {
		k, ok := kinds[name]
		switch {
		case !ok:
			return fmt.Errorf("nemesis: %q is no kind of fault", name)
		case len(s.targets(k.part)) == 0, k.way == world.StoreWay && !s.Store, k.deed == fill && !s.Disk:
			return fmt.Errorf("nemesis: there is nothing that %s could be done to", name)
		case (k.deed == move || k.deed == drain || k.part == theController) && len(s.Nodes) < 2:
			return fmt.Errorf("nemesis: %s needs a second node", name)
		case k.part == aBroker && (k.deed == strand || k.deed == lead) && len(s.Brokers) < 2:
			return fmt.Errorf("nemesis: %s needs other brokers", name)
		case !s.admits(nil, Step{Kind: name, Target: s.targets(k.part)[0]}):
			return fmt.Errorf("nemesis: %s would leave too few, with %d nodes and %d brokers", name, len(s.Nodes), len(s.Brokers))
		}
	}
	return nil
}

// Possible returns those of some kinds that can be done.
func (s Settings) Possible(list []Kind) []Kind {
	return slices.DeleteFunc(slices.Clone(list), func(k Kind) bool {
		s.Kinds = []Kind{k}
		return s.check() != nil
	})
}

// targets returns what a kind of fault can be done to.
func (s Settings) targets(p part) []string {
	switch p {
	case aNode:
		return s.Nodes
	case aBroker:
		return s.Brokers
	case aHistory:
		return s.History
	case aReader:
		return slices.Concat(s.Nodes, s.History)
	case theController:
		return []string{TheController}
	default:
		return []string{AllNodes}
	}
}

// over returns when a step is over and what it was done to has recovered.
func (s Settings) over(step Step) time.Duration {
	k := kinds[step.Kind]
	lasts := step.Length + k.recovery
	if k.part == allNodes {
		lasts *= time.Duration(len(s.Nodes))
	}
	return step.At + lasts
}

// nextEnd returns when the first of those steps is over that last at a time; at least one
// must.
func (s Settings) nextEnd(steps []Step, at time.Duration) time.Duration {
	next := time.Duration(-1)
	for _, step := range steps {
		if end := s.over(step); end > at && (next < 0 || end < next) {
			next = end
		}
	}
	return next
}

// admits reports whether a step may begin at its time, with those before it.
func (s Settings) admits(before []Step, step Step) bool {
	lasting := slices.DeleteFunc(slices.Clone(before), func(b Step) bool { return s.over(b) <= step.At })
	return s.together(lasting, step)
}

// together reports whether a step may begin while others last.
func (s Settings) together(lasting []Step, step Step) bool {
	if len(lasting) >= maxOverlap {
		return false
	}
	nodes, brokers := 0, 0
	for _, other := range append(lasting[:len(lasting):len(lasting)], step) {
		switch k := kinds[other.Kind]; {
		case k.gentle:
		case k.part == aBroker:
			brokers++
		default:
			nodes++
		}
	}
	if !s.Outage && (nodes >= len(s.Nodes) && nodes > 0 || 2*brokers >= len(s.Brokers) && brokers > 0) {
		return false
	}
	return !slices.ContainsFunc(lasting, func(other Step) bool {
		return other.Target == step.Target || alone(other, step) || alone(step, other)
	})
}

// alone reports whether a step must not meet another, because it asks the cluster for
// something, which needs the nodes and Kafka to be well, or is done to whichever node has a
// role at the time, or to all brokers. Who leads in Kafka is for the brokers alone.
func alone(step, other Step) bool {
	k := kinds[step.Kind]
	if k.deed == lead {
		return kinds[other.Kind].part == aBroker
	}
	apart := k.part == theController || k.part == allNodes || k.deed == move || k.deed == drain ||
		k.part == aBroker && k.deed == strand
	return apart && !(kinds[other.Kind].part == aHistory)
}
