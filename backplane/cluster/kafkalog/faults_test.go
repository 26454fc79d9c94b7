package kafkalog_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/godwit-im/godwit/backplane/cluster/kafkalog"
	"github.com/godwit-im/godwit/backplane/kafka"
)

// newFaulty returns a broker that can be told to fail, and the configuration of topics
// on it.
func newFaulty(t *testing.T) (*kfake.Cluster, kafka.Config) {
	t.Helper()
	cfg := kafka.DefaultConfig()
	cfg.Namespace = "faulty"
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1),
		kfake.SeedTopics(1, kafkalog.ClusterTopic(cfg.Namespace), kafkalog.HeartbeatsTopic(cfg.Namespace)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	cfg.Brokers = cluster.ListenAddrs()
	return cluster, cfg
}

// stall makes the broker answer nothing from the next request of a kind on, until the
// function it returns is called; what came meanwhile is then handled. The request
// blocks the one goroutine of the broker: its own way to let requests sleep may lock
// up for ever when it is closed meanwhile.
func stall(t *testing.T, cluster *kfake.Cluster, key kmsg.Key) (stalled <-chan struct{}, release func()) {
	t.Helper()
	begun, released := make(chan struct{}), make(chan struct{})
	cluster.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.DropControl()
		close(begun)
		<-released
		return nil, nil, false
	})
	release = sync.OnceFunc(func() { close(released) })
	t.Cleanup(release)
	return begun, release
}

// The answer to a commit is lost, before the broker has seen it or after. Nobody knows
// then what became of the decision, until it is settled; then it either is there or
// will never be, and decisions go on.
func TestCommitIsUnknown(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(t *testing.T, c *kfake.Cluster)
	}{
		{"the end is not served", func(t *testing.T, c *kfake.Cluster) {
			fault := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.UnknownServerError, Count: 1})
			t.Cleanup(fault.Remove)
		}},
		{"writing fails", func(t *testing.T, c *kfake.Cluster) {
			fault := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.UnknownServerError, Count: 1})
			t.Cleanup(fault.Remove)
		}},
		{"the broker refuses the records", func(t *testing.T, c *kfake.Cluster) {
			fault := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.MessageTooLarge, Count: 1})
			t.Cleanup(fault.Remove)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			cluster, cfg := newFaulty(t)
			l, seen := open(t, cfg)
			s := take(t, l)
			commit(t, s, put("node/a", "1"), put("node/b", "1"))
			test.spoil(t, cluster)
			err := s.Commit(t.Context(), decision("2"))
			if err == nil || errors.Is(err, kafkalog.ErrFenced) {
				t.Fatalf("error %v, want one of another kind", err)
			}
			if err := s.Commit(t.Context(), decision("3")); !errors.Is(err, kafkalog.ErrUnsettled) {
				t.Errorf("error %v before the decision is settled", err)
			}
			if err := s.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			if a, b := seen.get("node/a"), seen.get("node/b"); a != b || (a != "1" && a != "2") {
				t.Errorf("a is %s and b is %s: a decision is there in part", a, b)
			}
			before := seen.all()
			barrier(t, l)
			if after := seen.all(); before["node/a"] != after["node/a"] {
				t.Errorf("node/a was %s when it was settled, and is %s", before["node/a"], after["node/a"])
			}
			commit(t, s, decision("4")...)
			barrier(t, l)
			if seen.get("node/a") != "4" || seen.get("node/b") != "4" {
				t.Errorf("afterwards it has %v", seen.all())
			}
		})
	}
}

// A broker hangs in the middle of a decision: Commit and Settle return in their time
// all the same, and when the broker goes on the decision can be settled.
func TestBrokerHangsInACommit(t *testing.T) {
	for _, key := range []kmsg.Key{kmsg.Produce, kmsg.EndTxn} {
		t.Run(key.Name(), func(t *testing.T) {
			cluster, cfg := newFaulty(t)
			l, seen := open(t, cfg)
			s := take(t, l)
			commit(t, s, decision("1")...)
			stalled, release := stall(t, cluster, key)
			ended := make(chan error, 1)
			go func() { ended <- s.Commit(context.Background(), decision("2")) }()
			<-stalled
			err := <-ended // it has a bound of its own
			if err == nil || errors.Is(err, kafkalog.ErrFenced) {
				t.Fatalf("error %v while the broker hangs", err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if err := s.Settle(ctx); err == nil {
				t.Error("it was settled while the broker hung")
			}
			release()
			eventually(t, "the decision is settled", func() bool {
				err := s.Settle(t.Context())
				if errors.Is(err, kafkalog.ErrFenced) {
					t.Fatal(err)
				}
				return err == nil
			})
			if a, b := seen.get("node/a"), seen.get("node/b"); a != b {
				t.Errorf("a is %s and b is %s: a decision is there in part", a, b)
			}
			commit(t, s, decision("3")...)
			barrier(t, l)
			if seen.get("node/a") != "3" || seen.get("node/b") != "3" {
				t.Errorf("afterwards it has %v", seen.all())
			}
		})
	}
}

// What waits for a broker that does not answer ends by its context, and with the Log.
func TestWaitingEnds(t *testing.T) {
	cluster, cfg := newFaulty(t)
	l, err := kafkalog.Open(t.Context(), cfg, newState().apply)
	if err != nil {
		t.Fatal(err)
	}
	stalled, release := stall(t, cluster, kmsg.Produce)
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 4)
	go func() { ended <- l.Append(ctx, put("request/a", "1")) }()
	go func() { ended <- l.Barrier(ctx) }()
	go func() {
		_, err := l.Take(ctx)
		ended <- err
	}()
	<-stalled
	cancel()
	for range 3 {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want %v", err, context.Canceled)
		}
	}
	go func() { ended <- l.Append(context.Background(), put("request/a", "1")) }()
	go func() { ended <- l.Barrier(context.Background()) }()
	l.Close()
	for range 2 {
		if err := <-ended; !errors.Is(err, kafkalog.ErrClosed) {
			t.Errorf("error %v, want %v", err, kafkalog.ErrClosed)
		}
	}
	if err := l.Barrier(t.Context()); !errors.Is(err, kafkalog.ErrClosed) {
		t.Errorf("error %v of what was closed before", err)
	}
}

// Open gives up where there is no broker, and where there is no topic.
func TestOpenGivesUp(t *testing.T) {
	_, cfg := newFaulty(t)
	for name, change := range map[string]func(*kafka.Config){
		"no broker": func(cfg *kafka.Config) { cfg.Brokers = []string{"127.0.0.1:1"} },
		"no topic":  func(cfg *kafka.Config) { cfg.Namespace = "other" },
	} {
		other := cfg
		change(&other)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		if _, err := kafkalog.Open(ctx, other, newState().apply); err == nil {
			t.Errorf("%s: it was opened", name)
		}
	}
	cfg.Namespace = "not a name"
	if _, err := kafkalog.Open(t.Context(), cfg, newState().apply); err == nil {
		t.Error("a wrong configuration was taken")
	}
}

// A session that is closed ends what is running, and takes no more decisions.
func TestSessionIsClosed(t *testing.T) {
	for _, key := range []kmsg.Key{kmsg.Produce, kmsg.EndTxn} {
		t.Run(key.Name(), func(t *testing.T) {
			cluster, cfg := newFaulty(t)
			l, _ := open(t, cfg)
			s := take(t, l)
			commit(t, s, decision("1")...)
			stalled, release := stall(t, cluster, key)
			ended := make(chan error, 1)
			go func() { ended <- s.Commit(context.Background(), decision("2")) }()
			<-stalled
			s.Close()
			if err := <-ended; !errors.Is(err, kafkalog.ErrClosed) {
				t.Errorf("error %v of the decision under way", err)
			}
			release()
			if err := s.Settle(t.Context()); !errors.Is(err, kafkalog.ErrClosed) {
				t.Errorf("error %v of Settle", err)
			}
			other := take(t, l)
			commit(t, other, decision("3")...)
			other.Close()
			if err := other.Commit(t.Context(), decision("4")); !errors.Is(err, kafkalog.ErrClosed) {
				t.Errorf("error %v of Commit", err)
			}
		})
	}
}
