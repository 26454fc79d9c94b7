package nemesis

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

// worldOf returns settings for a world of some size, with all faults that are possible.
func worldOf(nodes, brokers, history int, outage bool) Settings {
	s := Settings{Duration: 10 * time.Minute, Outage: outage, Store: history > 0, Disk: history > 0}
	for i := range nodes {
		s.Nodes = append(s.Nodes, fmt.Sprint("n", i+1))
	}
	for i := range brokers {
		s.Brokers = append(s.Brokers, fmt.Sprint("kafka", i+1))
	}
	for i := range history {
		s.History = append(s.History, fmt.Sprint("history", i+1))
	}
	s.Kinds = s.Possible(Kinds())
	return s
}

// TestSchedule holds what schedules promise against many of them.
func TestSchedule(t *testing.T) {
	for seed := range uint64(500) {
		random := rand.New(rand.NewPCG(seed, 1))
		s := worldOf(1+random.IntN(5), []int{1, 3}[random.IntN(2)], random.IntN(3), random.IntN(4) == 0)
		if len(s.Kinds) == 0 {
			continue
		}
		steps, err := Schedule(seed, s)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if again, err := Schedule(seed, s); err != nil || !reflect.DeepEqual(again, steps) {
			t.Fatalf("seed %d: once more it is another: %v", seed, err)
		}
		count := make(map[Kind]int)
		for i, step := range steps {
			k := kinds[step.Kind]
			count[step.Kind]++
			switch {
			case i > 0 && step.At < steps[i-1].At:
				t.Errorf("seed %d: step %d begins before the one before it", seed, i)
			case !slices.Contains(s.Kinds, step.Kind):
				t.Errorf("seed %d: %s was not wanted", seed, step.Kind)
			case !slices.Contains(s.targets(k.part), step.Target):
				t.Errorf("seed %d: %s is done to %q", seed, step.Kind, step.Target)
			case step.Length < k.least || step.Length > k.most:
				t.Errorf("seed %d: %s lasts %v", seed, step.Kind, step.Length)
			case step.At <= 0 || step.At+step.Length > s.Duration:
				t.Errorf("seed %d: step %d is from %v to %v", seed, i, step.At, step.At+step.Length)
			}
			for _, other := range steps[:i] {
				if other.Target == step.Target && other.At+other.Length > step.At {
					t.Errorf("seed %d: %s begins at %s while %s lasts there", seed, step.Kind, step.Target, other.Kind)
				}
			}
			if !s.Outage {
				whole(t, seed, s, steps[:i+1], step.At)
			}
		}
		for _, k := range s.Kinds {
			if n, most := count[k], (len(steps)+len(s.Kinds)-1)/len(s.Kinds); n > most || n < len(steps)/len(s.Kinds) {
				t.Errorf("seed %d: %s is done %d times of %d, with %d kinds", seed, k, n, len(steps), len(s.Kinds))
			}
		}
	}
}

// whole checks that what a cluster cannot do without is whole at a time. It counts by
// itself what is down, and for the controller any node may be.
func whole(t *testing.T, seed uint64, s Settings, steps []Step, at time.Duration) {
	t.Helper()
	down := make(map[string]bool)
	brokers, some := 0, 0
	for _, step := range steps {
		if step.At > at || step.At+step.Length <= at {
			continue
		}
		switch step.Kind {
		case NodeKill, NodePause, NodeRestart, NodeStrand, KafkaCut, KafkaHang, ClientsCut, ClientsHang, DiskFull, Drain:
			down[step.Target] = true
		case ControllerKill, ControllerPause, RollingRestart:
			some++
		case BrokerKill, BrokerPause:
			brokers++
		}
	}
	if len(down)+some >= len(s.Nodes) {
		t.Errorf("seed %d: at %v none of %d nodes may be whole", seed, at, len(s.Nodes))
	}
	if brokers*2 >= len(s.Brokers) && brokers > 0 {
		t.Errorf("seed %d: at %v %d of %d brokers are down", seed, at, brokers, len(s.Brokers))
	}
}

// TestScheduleVaries finds what schedules must not always avoid: another seed, faults at
// the same time, every kind, and outages that were asked for.
func TestScheduleVaries(t *testing.T) {
	var first []Step
	seen := make(map[Kind]bool)
	overlaps, outages := 0, 0
	for seed := range uint64(50) {
		steps, err := Schedule(seed, worldOf(3, 3, 1, seed%2 == 1))
		if err != nil {
			t.Fatal(err)
		}
		if seed == 0 {
			first = steps
		} else if reflect.DeepEqual(first, steps) {
			t.Errorf("seed %d makes the schedule of seed 0", seed)
		}
		for i, step := range steps {
			seen[step.Kind] = true
			if i > 0 && steps[i-1].At+steps[i-1].Length > step.At {
				overlaps++
				if kinds[step.Kind].part == aBroker && kinds[steps[i-1].Kind].part == aBroker {
					outages++
				}
			}
		}
	}
	if len(seen) != len(Kinds()) || overlaps == 0 || outages == 0 {
		t.Errorf("there were %d of %d kinds, %d overlaps and %d outages", len(seen), len(Kinds()), overlaps, outages)
	}
}

func TestScheduleRefuses(t *testing.T) {
	one := worldOf(1, 1, 0, false)
	three := worldOf(3, 3, 0, false)
	for _, c := range []struct {
		name string
		s    Settings
		kind Kind
		ok   bool
	}{
		{"the only node", one, NodeKill, false},
		{"the only node, in an outage", worldOf(1, 1, 0, true), NodeKill, true},
		{"the only broker", one, BrokerKill, false},
		{"the only broker, in an outage", worldOf(3, 1, 0, true), BrokerKill, true},
		{"one of three brokers", three, BrokerKill, true},
		{"a broker with no other", worldOf(3, 1, 0, true), BrokerStrand, false},
		{"a broker with two others", three, BrokerStrand, true},
		{"a leader where there is no other", worldOf(3, 1, 0, true), LeaderMove, false},
		{"a leader where there are others", three, LeaderMove, true},
		{"a slow link of the only node", one, KafkaSlow, true},
		{"a move to the only node", one, Move, false},
		{"a drain of the only node, in an outage", worldOf(1, 1, 0, true), Drain, false},
		{"the controller of one node, in an outage", worldOf(1, 1, 0, true), ControllerKill, false},
		{"a history that is not there", three, HistoryKill, false},
		{"a store that is not there", three, StoreCut, false},
		{"a disk that is not there", three, DiskFull, false},
		{"a disk", worldOf(1, 1, 1, true), DiskFull, true},
		{"a store", worldOf(3, 3, 1, false), StoreCut, true},
		{"something else", three, "node-paint", false},
	} {
		c.s.Kinds = []Kind{c.kind}
		if _, err := Schedule(1, c.s); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := Schedule(1, Settings{Duration: time.Hour}); err == nil {
		t.Error("a schedule of no faults was made")
	}
	three.Duration = 2 * time.Second
	if _, err := Schedule(1, three); !errors.Is(err, ErrNoRoom) {
		t.Errorf("a schedule of two seconds: %v", err)
	}
}

func TestParseKinds(t *testing.T) {
	list, err := ParseKinds("node-kill, move,node-kill")
	if err != nil || !slices.Equal(list, []Kind{NodeKill, Move}) {
		t.Errorf("%v, %v", list, err)
	}
	for _, text := range []string{"", "node-kill,", "node_kill"} {
		if list, err := ParseKinds(text); err == nil {
			t.Errorf("%q is %v", text, list)
		}
	}
}
