package kafkalog_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/beats"
	"github.com/godwit-im/godwit/backplane/cluster/kafkalog"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
)

// hearing keeps what a Listener heard.
type hearing struct {
	mu  sync.Mutex
	all []kafkalog.Heard
}

func newHearing() *hearing { return new(hearing) }

func (h *hearing) heard(all []kafkalog.Heard) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, all...)
}

// of returns the beats of a node.
func (h *hearing) of(node string) []kafkalog.Heard {
	h.mu.Lock()
	defer h.mu.Unlock()
	var of []kafkalog.Heard
	for _, b := range h.all {
		if b.Node == node {
			of = append(of, b)
		}
	}
	return of
}

func (h *hearing) count(node string) int { return len(h.of(node)) }

// increasing fails the test unless the beats of a node count up, each at most once.
func (h *hearing) increasing(t *testing.T, node string) {
	t.Helper()
	of := h.of(node)
	for i := 1; i < len(of); i++ {
		if of[i].N <= of[i-1].N {
			t.Errorf("%s: beat %d comes after beat %d", node, of[i].N, of[i-1].N)
		}
	}
}

// longestHole returns the longest time in which no node beat, from a moment on.
func (h *hearing) longestHole(from time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	var longest int64
	for i := 1; i < len(h.all); i++ {
		if h.all[i].Time >= from.UnixMilli() {
			longest = max(longest, h.all[i].Time-h.all[i-1].Time)
		}
	}
	return time.Duration(longest) * time.Millisecond
}

func listen(t *testing.T, cfg kafka.Config, h *hearing) *kafkalog.Listener {
	t.Helper()
	l, err := kafkalog.Listen(cfg, h.heard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// beat starts the beats of a node, which count up from 1.
func beat(t *testing.T, cfg kafka.Config, node string) *kafkalog.Beater {
	t.Helper()
	var n uint64
	b, err := kafkalog.NewBeater(cfg, func(last bool) beats.Beat {
		n++
		return beats.Beat{Node: node, Incarnation: 7, N: n, Connections: 3, Last: last}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func newAdmin(t *testing.T, cfg kafka.Config) *kadm.Client {
	t.Helper()
	client, err := kgo.NewClient(cfg.ClientOptions()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return kadm.NewClient(client)
}

// leader returns the index of the node that leads a topic.
func leader(t *testing.T, cfg kafka.Config, topic string) int {
	t.Helper()
	topics, err := newAdmin(t, cfg).ListTopics(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	return int(topics[topic].Partitions[0].Leader) - 1
}

// inSync waits until all replicas of each topic, or so many of them, have everything.
func inSync(t *testing.T, cfg kafka.Config, replicas int) {
	t.Helper()
	admin := newAdmin(t, cfg)
	eventually(t, "all replicas are in sync", func() bool {
		topics, err := admin.ListTopicsWithInternal(t.Context())
		if err != nil {
			return false
		}
		for _, topic := range topics {
			for _, p := range topic.Partitions {
				if len(p.ISR) < min(replicas, len(p.Replicas)) {
					return false
				}
			}
		}
		return true
	})
}

// appendEventually appends while what is wrong passes.
func appendEventually(t *testing.T, l *kafkalog.Log, records ...cluster.Record) {
	t.Helper()
	eventually(t, "it is written", func() bool { return l.Append(t.Context(), records...) == nil })
}

// Beats are heard in order, with everything that they say and the time of the log, by
// whoever listens, from some seconds before.
func TestBeatsAreHeard(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := config(t, b)
		h := newHearing()
		l := listen(t, cfg, h)
		eventually(t, "it listens", func() bool { return !l.LastRead().IsZero() })
		before := time.Now().UnixMilli()
		one := beat(t, cfg, "n1")
		beat(t, cfg, "n2")
		eventually(t, "both are heard", func() bool { return h.count("n1") >= 3 && h.count("n2") >= 3 })
		if one.LastBeat().IsZero() {
			t.Error("no beat was acknowledged")
		}
		for _, node := range []string{"n1", "n2"} {
			h.increasing(t, node)
			for i, b := range h.of(node)[:3] {
				if b.Incarnation != 7 || b.Connections != 3 {
					t.Errorf("beat %d of %s says %+v", i, node, b)
				}
				if b.Time < before || b.Time > time.Now().UnixMilli() {
					t.Errorf("beat %d of %s is of %d, after %d", i, node, b.Time, before)
				}
			}
		}
		late := newHearing()
		listen(t, cfg, late)
		eventually(t, "who comes later hears them, too", func() bool { return late.count("n1") > 0 })
		if first := late.of("n1")[0]; first.N != 1 {
			t.Errorf("who comes later hears beat %d first, and not those just before", first.N)
		}
	})
}

// Whoever ends says so.
func TestLastBeat(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := config(t, b)
		h := newHearing()
		listen(t, cfg, h)
		n1 := beat(t, cfg, "n1")
		eventually(t, "it is heard", func() bool { return h.count("n1") > 0 })
		n1.Close()
		n1.Close()
		eventually(t, "its end is heard", func() bool { of := h.of("n1"); return of[len(of)-1].Last })
		h.increasing(t, "n1")
		for i, b := range h.of("n1") {
			if b.Last != (i == h.count("n1")-1) {
				t.Errorf("beat %d of %d is the last: %v", i+1, h.count("n1"), b.Last)
			}
		}
	})
}

// While the broker does not answer, one beat is on its way, and the next waits for
// nobody: when the broker goes on, the beats of the time between are not there.
func TestBeatsAreNotKept(t *testing.T) {
	cluster, cfg := newFaulty(t)
	h := newHearing()
	listen(t, cfg, h)
	var asked atomic.Int64
	b, err := kafkalog.NewBeater(cfg, func(bool) beats.Beat {
		return beats.Beat{Node: "n1", N: uint64(asked.Add(1))}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	eventually(t, "it is heard", func() bool { return h.count("n1") > 1 })
	stalled, release := stall(t, cluster, kmsg.Produce)
	<-stalled
	held := asked.Load() // the beat that the broker has, and does not answer
	eventually(t, "it gave that one up, and others", func() bool { return asked.Load() >= held+2 })
	last := uint64(asked.Load())
	release()
	eventually(t, "it beats again", func() bool {
		of := h.of("n1")
		return of[len(of)-1].N > last+1
	})
	h.increasing(t, "n1")
	between := 0
	for _, b := range h.of("n1") {
		if b.N > uint64(held) && b.N < last {
			between++
		}
	}
	if between > 0 {
		t.Errorf("%d beats of the time between were kept", between)
	}
}

// A beat that a broker refuses is not sent again.
func TestBeatsAreNotRepeated(t *testing.T) {
	cluster, cfg := newFaulty(t)
	h := newHearing()
	listen(t, cfg, h)
	beat(t, cfg, "n1")
	eventually(t, "it is heard", func() bool { return h.count("n1") > 0 })
	fault := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotLeaderForPartition, Count: 2})
	t.Cleanup(fault.Remove)
	heard := h.count("n1")
	eventually(t, "it is heard again", func() bool { return h.count("n1") > heard+3 })
	of := h.of("n1")
	if missing := of[len(of)-1].N - of[0].N + 1 - uint64(len(of)); missing < 2 {
		t.Errorf("%d beats are missing, want the 2 that were refused at least", missing)
	}
}

// What is no beat is passed over, and so is a beat that comes too late.
func TestGarbageAmongBeats(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := config(t, b)
		h := newHearing()
		l := listen(t, cfg, h)
		eventually(t, "it listens", func() bool { return !l.LastRead().IsZero() })
		client, err := kgo.NewClient(cfg.ClientOptions()...)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		topic := kafkalog.HeartbeatsTopic(cfg.Namespace)
		good := beats.Beat{Node: "n1", N: 5, Incarnation: 1}
		late := beats.Beat{Node: "n1", N: 4, Incarnation: 1}  // given up, and there in the end
		again := beats.Beat{Node: "n1", N: 1, Incarnation: 2} // another process
		for _, r := range []*kgo.Record{
			{Topic: topic},
			{Topic: topic, Key: make([]byte, 10_000), Value: []byte("{}")},
			{Topic: topic, Key: []byte("n1"), Value: []byte("not JSON")},
			{Topic: topic, Key: []byte("n1"), Value: good.Encode()},
			{Topic: topic, Key: []byte("n1"), Value: late.Encode()},
			{Topic: topic, Key: []byte("n1"), Value: good.Encode()},
			{Topic: topic, Key: []byte("n1"), Value: again.Encode()},
		} {
			if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "the last beat is heard", func() bool {
			of := h.of("n1")
			return len(of) > 0 && of[len(of)-1].Incarnation == 2
		})
		if of := h.of("n1"); len(of) != 2 || of[0].N != 5 || of[1].N != 1 {
			t.Errorf("it heard %+v", of)
		}
	})
}

// The heartbeats topic is made anew, or loses its records: beats and listeners go on
// with what there is.
func TestHeartbeatsMadeAnew(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := config(t, b)
		h := newHearing()
		listen(t, cfg, h)
		beat(t, cfg, "n1")
		eventually(t, "it is heard", func() bool { return h.count("n1") > 1 })
		topic := kafkalog.HeartbeatsTopic(cfg.Namespace)
		deleteTopic(t, cfg, topic)
		again(t, cfg)
		heard := h.count("n1")
		eventually(t, "it is heard again", func() bool { return h.count("n1") > heard+2 })
		h.increasing(t, "n1")
	})
}

func deleteTopic(t *testing.T, cfg kafka.Config, topic string) {
	t.Helper()
	answers, err := newAdmin(t, cfg).DeleteTopics(t.Context(), topic)
	if err == nil {
		err = answers.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// again makes the topics of cfg that are missing, as soon as the broker can.
func again(t *testing.T, cfg kafka.Config) {
	t.Helper()
	o := kafkalog.TopicOptions{Replicas: 1, MinInsync: 1, Settings: map[string]*string{"unclean.leader.election.enable": nil}}
	eventually(t, "the topic can be made anew", func() bool {
		made, err := kafkalog.Create(t.Context(), cfg, o)
		return err == nil && len(made) > 0
	})
}

// A Beater and a Listener that find no broker close all the same.
func TestBeatsWithoutBroker(t *testing.T) {
	_, cfg := newFaulty(t)
	cfg.Brokers = []string{"127.0.0.1:1"}
	asked := make(chan struct{}, 100)
	var last atomic.Bool
	b, err := kafkalog.NewBeater(cfg, func(isLast bool) beats.Beat {
		last.Store(isLast)
		asked <- struct{}{}
		return beats.Beat{Node: "n1", N: 1}
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := kafkalog.Listen(cfg, newHearing().heard)
	if err != nil {
		t.Fatal(err)
	}
	<-asked
	<-asked // the first one failed
	b.Close()
	l.Close()
	if last.Load() {
		t.Error("where beats fail, a last one was tried")
	}
	if !b.LastBeat().IsZero() || !l.LastRead().IsZero() {
		t.Error("something succeeded without a broker")
	}
	cfg.Namespace = "not a name"
	if _, err := kafkalog.NewBeater(cfg, nil); err == nil {
		t.Error("a wrong configuration was taken for beats")
	}
	if _, err := kafkalog.Listen(cfg, nil); err == nil {
		t.Error("a wrong configuration was taken for listening")
	}
}
