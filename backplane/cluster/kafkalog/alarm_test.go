package kafkalog_test

import (
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/kafkalog"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
)

// alarmed waits for the alarm, and fails the test unless it is of want's kind and stops
// everything but what was handed out.
func alarmed(t *testing.T, l *kafkalog.Log, s *kafkalog.Session, seen *state, before map[string]string, want error) {
	t.Helper()
	select {
	case <-l.Alarm():
	case <-time.After(patience):
		t.Fatal("no alarm")
	}
	check := func(what string, err error) {
		t.Helper()
		var alarm *kafkalog.TopicError
		if !errors.As(err, &alarm) || !errors.Is(err, want) || alarm.Topic == "" {
			t.Errorf("%s: error %v, want %v", what, err, want)
		}
	}
	check("Err", l.Err())
	check("Barrier", l.Barrier(t.Context()))
	check("Append", l.Append(t.Context(), put("request/a", "after")))
	check("Commit", s.Commit(t.Context(), decision("after")))
	_, err := l.Take(t.Context())
	check("Take", err)
	if got := seen.all(); !maps.Equal(got, before) {
		t.Errorf("it has %v, want what it had: %v", got, before)
	}
}

// filled returns a Log, a Session and what there is in the topic.
func filled(t *testing.T, cfg kafka.Config) (*kafkalog.Log, *kafkalog.Session, *state, map[string]string) {
	t.Helper()
	l, seen := open(t, cfg)
	s := take(t, l)
	commit(t, s, decision("1")...)
	appendAll(t, l, put("request/a", "1"))
	barrier(t, l)
	if err := l.Err(); err != nil {
		t.Fatalf("an alarm: %v", err)
	}
	return l, s, seen, seen.all()
}

// The topic is deleted and made anew, empty, while it is read.
func TestTopicReplaced(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := config(t, b)
		l, s, seen, before := filled(t, cfg)
		deleteTopic(t, cfg, kafkalog.ClusterTopic(cfg.Namespace))
		again(t, cfg)
		alarmed(t, l, s, seen, before, kafkalog.ErrReplaced)
	})
}

// Records in force are deleted, all of them or some: those that are left are no reason to
// go on.
func TestTopicEmptied(t *testing.T) {
	for name, left := range map[string]int64{"all": 0, "some": 2} {
		t.Run(name, func(t *testing.T) {
			kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
				cfg := config(t, b)
				l, s, seen, before := filled(t, cfg)
				deleteBefore(t, cfg, left)
				alarmed(t, l, s, seen, before, kafkalog.ErrEmptied)
			})
		})
	}
}

// Deleted records for which newer ones stand are missed by nobody.
func TestOldRecordsDeleted(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := config(t, b)
		l, seen := open(t, cfg)
		for i := range 10 {
			appendAll(t, l, put("node/a", "%d", i), put("node/b", "%d", i), cluster.Record{Key: "node/c"})
		}
		barrier(t, l)
		deleteBefore(t, cfg, 1+3) // the barrier, and the last call of Append
		appendAll(t, l, put("node/a", "10"))
		barrier(t, l)
		_, late := open(t, cfg)
		for name, s := range map[string]*state{"who followed": seen, "who came late": late} {
			if s.get("node/a") != "10" || s.get("node/b") != "9" {
				t.Errorf("%s has %v", name, s.all())
			}
		}
		if err := l.Err(); err != nil {
			t.Errorf("an alarm: %v", err)
		}
	})
}

// deleteBefore deletes all records of the cluster topic but the last ones. Real brokers
// refuse that for what is compacted, so the topic's policy is changed for it.
func deleteBefore(t *testing.T, cfg kafka.Config, left int64) {
	t.Helper()
	admin, topic := newAdmin(t, cfg), kafkalog.ClusterTopic(cfg.Namespace)
	policy := "delete"
	answers, err := admin.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "cleanup.policy", Value: &policy}}, topic)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range answers {
		if a.Err != nil {
			t.Fatal(a.Err)
		}
	}
	ends, err := admin.ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	end, ok := ends.Lookup(topic, 0)
	if !ok {
		t.Fatal("no end")
	}
	var cut kadm.Offsets
	cut.AddOffset(topic, 0, end.Offset-left, -1)
	eventually(t, "records are deleted", func() bool { // the broker hears of the new policy a moment later
		answers, err := admin.DeleteRecords(t.Context(), cut)
		return err == nil && answers.Error() == nil
	})
}

// outOfRange makes the broker say of the next fetches that their offset is not there.
func outOfRange(t *testing.T, broker *kfake.Cluster, count int) {
	t.Helper()
	fault := broker.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.OffsetOutOfRange, Count: count})
	t.Cleanup(fault.Remove)
}

// The log ends before what was read from it, as after a leader that lacked records.
func TestTopicTruncated(t *testing.T) {
	broker, cfg := newFaulty(t)
	l, s, seen, before := filled(t, cfg)
	broker.ControlKey(int16(kmsg.ListOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
		broker.KeepControl()
		req := r.(*kmsg.ListOffsetsRequest)
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		topic := kmsg.NewListOffsetsResponseTopic()
		topic.Topic = req.Topics[0].Topic
		partition := kmsg.NewListOffsetsResponseTopicPartition()
		if req.Topics[0].Partitions[0].Timestamp == -1 { // the end; the beginning is at 0
			partition.Offset = 1
		}
		topic.Partitions = append(topic.Partitions, partition)
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
	outOfRange(t, broker, -1)
	alarmed(t, l, s, seen, before, kafkalog.ErrTruncated)
}

// A leader that does not have yet what was read from another one is waited for.
func TestLeaderIsBehind(t *testing.T) {
	broker, cfg := newFaulty(t)
	l, _, seen, _ := filled(t, cfg)
	outOfRange(t, broker, 3)
	appendAll(t, l, put("request/b", "2"))
	barrier(t, l)
	if err := l.Err(); err != nil || seen.get("request/b") != "2" {
		t.Errorf("error %v, and it has %v", err, seen.all())
	}
}
