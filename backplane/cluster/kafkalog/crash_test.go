package kafkalog_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/cluster/kafkalog"
	"github.com/godwit-im/godwit/backplane/kafkatest"
)

// A controller whose decision is unknown, because its broker hung, finds when it settles
// it that another one has taken over meanwhile. It does not take the right back. (That
// is Apache Kafka's doing; the embedded broker lets whoever knew an id go on with it.)
func TestSettlingWhoWasReplaced(t *testing.T) {
	broker := kafkatest.Private(t)
	cfg := broker.Config(t, 1)
	topics(t, cfg)
	l, _ := open(t, cfg)
	other, seen := open(t, cfg)
	old := take(t, l)
	commit(t, old, decision("1")...)
	broker.Pause()
	err := old.Commit(t.Context(), decision("2"))
	broker.Resume()
	if err == nil || errors.Is(err, kafkalog.ErrFenced) {
		t.Fatalf("error %v, want an unknown outcome", err)
	}
	s := take(t, other)
	commit(t, s, decision("3")...)
	eventually(t, "the old one finds out", func() bool { return errors.Is(old.Settle(t.Context()), kafkalog.ErrFenced) })
	fenced(t, old, decision("4")...)
	if err := old.Settle(t.Context()); !errors.Is(err, kafkalog.ErrFenced) {
		t.Errorf("error %v afterwards", err)
	}
	commit(t, s, decision("5")...)
	barrier(t, other)
	if all := values(t, seen); all[len(all)-1] != "5" || all[len(all)-2] != "3" {
		t.Errorf("the decisions are %v", all)
	}
}

// The broker is killed and comes back on its data. Readers, requests, decisions and
// beats go on by themselves, and nothing that was told of is lost.
func TestBrokerIsKilled(t *testing.T) {
	broker := kafkatest.Private(t)
	cfg := broker.Config(t, 1)
	topics(t, cfg)
	l, seen := open(t, cfg)
	s := take(t, l)
	h := newHearing()
	listen(t, cfg, h)
	b := beat(t, cfg, "n1")
	eventually(t, "beats are heard", func() bool { return h.count("n1") > 2 })
	appended := make(map[string]string)
	for round := range 2 {
		value := strconv.Itoa(round)
		key := "request/" + value
		appendAll(t, l, put(key, "%s", value))
		appended[key] = value
		commit(t, s, decision(value)...)
		broker.Kill()
		began := time.Now()
		if err := s.Commit(t.Context(), decision("lost-"+value)); err == nil {
			t.Fatal("a decision was committed without a broker")
		}
		broker.Start(t)
		eventually(t, "the decision is settled", func() bool {
			err := s.Settle(t.Context())
			if errors.Is(err, kafkalog.ErrFenced) { // the broker gave up what it found open
				s = take(t, l)
				return true
			}
			return err == nil
		})
		if got := seen.get("node/a"); got != value && got != "lost-"+value {
			t.Errorf("node/a is %q, want %q", got, value)
		}
		eventually(t, "it beats again", func() bool { return b.LastBeat().After(began) && l.LastRead().After(began) })
		heard := h.count("n1")
		eventually(t, "beats are heard again", func() bool { return h.count("n1") > heard+2 })
	}
	_, late := open(t, cfg)
	for _, s := range []*state{seen, late} {
		for key, value := range appended {
			if got := s.get(key); got != value {
				t.Errorf("%s is %q, want %q", key, got, value)
			}
		}
	}
	if err := l.Err(); err != nil {
		t.Errorf("an alarm: %v", err)
	}
	h.increasing(t, "n1")
}

// The leader of the heartbeats is killed in a cluster of three, and later that of the
// cluster topic is paused. All goes on with those that are left.
func TestLeadersAreLost(t *testing.T) {
	nodes := kafkatest.Cluster(t, 3)
	cfg := nodes.Config(t, 1)
	if _, err := kafkalog.Create(t.Context(), cfg, kafkalog.DefaultTopicOptions()); err != nil {
		t.Fatal(err)
	}
	if findings, err := kafkalog.Verify(t.Context(), cfg, false); err != nil || len(findings) > 0 {
		t.Fatalf("the topics are not as a cluster should have them: %v, %v", err, findings)
	}
	l, seen := open(t, cfg)
	s := take(t, l)
	h := newHearing()
	listen(t, cfg, h)
	for _, node := range []string{"n1", "n2", "n3"} {
		beat(t, cfg, node)
	}
	goesOn := func(what string) {
		t.Helper()
		for _, node := range []string{"n1", "n2", "n3"} {
			heard := h.count(node)
			eventually(t, what+": beats are heard", func() bool { return h.count(node) > heard+2 })
		}
		appendEventually(t, l, put("request/"+what, "%s", what))
		eventually(t, what+": a decision is made", func() bool {
			err := s.Settle(t.Context())
			if err == nil {
				err = s.Commit(t.Context(), decision(what))
			}
			if errors.Is(err, kafkalog.ErrFenced) { // the brokers aborted it for its age
				s = take(t, l)
				return false
			}
			return err == nil
		})
		eventually(t, what+": it is seen", func() bool {
			return seen.get("node/b") == what && seen.get("request/"+what) == what
		})
	}
	goesOn("at first")

	lost := nodes[leader(t, cfg, kafkalog.HeartbeatsTopic(cfg.Namespace))]
	at := time.Now()
	lost.Kill()
	goesOn("killed")
	t.Logf("it took %v until all went on without the leader of the heartbeats", time.Since(at).Round(time.Millisecond))
	hole := h.longestHole(at)
	t.Logf("the longest hole in everybody's beats was %v of log time", hole)
	lost.Start(t)
	inSync(t, cfg, 3)

	lost = nodes[leader(t, cfg, kafkalog.ClusterTopic(cfg.Namespace))]
	lost.Pause()
	goesOn("paused")
	lost.Resume()
	goesOn("resumed")
	if err := l.Err(); err != nil {
		t.Errorf("an alarm: %v", err)
	}
	for _, node := range []string{"n1", "n2", "n3"} {
		h.increasing(t, node)
	}
}
