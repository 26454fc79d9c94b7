package rawlog

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/tools/verify/event"
)

const patience = time.Minute

// record returns the n-th record, as the server writes it, of a message from ann that
// concerns users of the partition.
func record(p int32, n int, users ...string) *kgo.Record {
	m := backplane.Message{
		From: []byte("ann"), To: [][]byte{[]byte("bob"), []byte("cem")}, ID: fmt.Append(nil, n),
		Kind: backplane.Kind(n % 2), TTL: int64(n), Body: fmt.Append(nil, "body ", n),
	}
	m.MessageID = backplane.Identify([]byte("phone"), &m)
	var header []byte
	for _, u := range users {
		header = backplane.AppendRecipient(header, []byte(u))
	}
	return &kgo.Record{
		Partition: p, Value: backplane.AppendMessage(nil, &m), Timestamp: time.UnixMilli(1_700_000_000_000 + int64(n)),
		Headers: []kgo.RecordHeader{{Key: backplane.HeaderSession, Value: backplane.AppendSession(nil, 7)}, {Key: backplane.HeaderRecipients, Value: header}},
	}
}

// produce writes records to the topic.
func produce(t *testing.T, cfg kafka.Config, records []*kgo.Record, opts ...kgo.Opt) {
	t.Helper()
	client, err := kgo.NewClient(slices.Concat(opts, cfg.ClientOptions(), []kgo.Opt{
		kgo.DefaultProduceTopic(cfg.Topic()), kgo.RecordPartitioner(kgo.ManualPartitioner()),
	})...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	transactional := len(opts) > 0
	if transactional {
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if transactional {
		if err := client.EndTransaction(ctx, kgo.TryAbort); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, s Source) (logs []*event.Log, end *event.LogEnd, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	end, err = Read(ctx, s, func(l *event.Log) error {
		logs = append(logs, l)
		return nil
	})
	return logs, end, err
}

// TestRead writes records as the server does and reads them, of several partitions, one of
// which is empty and one ends with a transaction that was given up.
func TestRead(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := b.Config(t, 3)
		s := Source{Brokers: cfg.Brokers, Topic: Topic(cfg.Namespace, int(cfg.Generation))}
		if logs, end, err := read(t, s); err != nil || len(logs) != 0 || *end != (event.LogEnd{Partitions: 3}) {
			t.Fatalf("an empty log has %v, ends %+v, %v", logs, end, err)
		}
		const n = 500
		var records []*kgo.Record
		for i := range n {
			users := []string{"ann", "bob"}
			if i%2 == 1 {
				users = []string{"cem"}
			}
			records = append(records, record(int32(i%2), i+1, users...))
		}
		produce(t, cfg, records)
		produce(t, cfg, []*kgo.Record{record(1, n+1, "cem")}, kgo.TransactionalID("test"))

		logs, end, err := read(t, s)
		if err != nil {
			t.Fatal(err)
		}
		if len(logs) != n || *end != (event.LogEnd{Partitions: 3, Records: n}) {
			t.Fatalf("%d records, the end is %+v; want %d", len(logs), end, n)
		}
		next := make(map[int32]int64)
		for _, l := range logs {
			if l.Offset != next[l.Partition] {
				t.Fatalf("partition %d: offset %d, want %d", l.Partition, l.Offset, next[l.Partition])
			}
			next[l.Partition]++
			i := int(l.Offset)*2 + int(l.Partition) + 1 // the number of the record
			kind := []event.Kind{event.Ordinary, event.Signal}[i%2]
			want := []string{"ann", "bob"}
			if l.Partition == 1 {
				want = []string{"cem"}
			}
			if l.ID != fmt.Sprint(i) || l.From != "ann" || !slices.Equal(l.To, []string{"bob", "cem"}) || l.Kind != kind ||
				l.TTL != int64(i) || l.BodySum != event.SumOf(fmt.Append(nil, "body ", i)) || !slices.Equal(l.Users, want) {
				t.Fatalf("record %d is %+v", i, l)
			}
			if !b.LogAppendTime && l.Time != 1_700_000_000_000+int64(i) {
				t.Fatalf("record %d has time %d", i, l.Time)
			}
		}

		s.Prefix = "c"
		if logs, end, err := read(t, s); err != nil || len(logs) != n/2 || end.Records != n/2 {
			t.Errorf("%d records concern cem, %v", len(logs), err)
		}
		s.Prefix, s.Since = "", time.Now().Add(time.Hour)
		if logs, _, err := read(t, s); err != nil || len(logs) != 0 {
			t.Errorf("%d records are of the future, %v", len(logs), err)
		}
		if !b.LogAppendTime {
			s.Since = time.UnixMilli(1_700_000_000_000 + n)
			if logs, _, err := read(t, s); err != nil || len(logs) != 1 {
				t.Errorf("%d records are of the last moment, %v", len(logs), err)
			}
		}
	})
}

// TestReadRefuses reads what is no log of messages.
func TestReadRefuses(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		spoil func(*kgo.Record)
		each  error
		want  string
	}{
		"a value":    {spoil: func(r *kgo.Record) { r.Value = r.Value[:5] }, want: "offset 1"},
		"no users":   {spoil: func(r *kgo.Record) { r.Headers = nil }, want: errUsers.Error()},
		"users":      {spoil: func(r *kgo.Record) { r.Headers[1].Value = []byte{9} }, want: errUsers.Error()},
		"the caller": {each: broken, want: broken.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := kafkatest.Embedded(t, 1)
			bad := record(0, 2, "ann")
			if c.spoil != nil {
				c.spoil(bad)
			}
			produce(t, cfg, []*kgo.Record{record(0, 1, "ann"), bad})
			_, err := Read(t.Context(), Source{Brokers: cfg.Brokers, Topic: cfg.Topic()}, func(*event.Log) error { return c.each })
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v", err)
			}
		})
	}
	t.Run("no topic", func(t *testing.T) {
		cfg := kafkatest.Embedded(t, 1)
		if _, _, err := read(t, Source{Brokers: cfg.Brokers, Topic: cfg.Topic() + "0"}); err == nil {
			t.Error("a topic was read that is not there")
		}
	})
	t.Run("no time", func(t *testing.T) {
		cfg := kafkatest.Embedded(t, 1)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Read(ctx, Source{Brokers: cfg.Brokers, Topic: cfg.Topic()}, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
	})
}

// TestReadTLS reads from a broker that takes encrypted connections only.
func TestReadTLS(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	cfg := kafka.DefaultConfig()
	cfg.TLS = web.Client().Transport.(*http.Transport).TLSClientConfig
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, cfg.Topic()), kfake.TLS(web.TLS))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	cfg.Brokers = cluster.ListenAddrs()
	produce(t, cfg, []*kgo.Record{record(0, 1, "ann")})
	if logs, _, err := read(t, Source{Brokers: cfg.Brokers, Topic: cfg.Topic(), Client: cfg.ClientOptions()}); err != nil || len(logs) != 1 {
		t.Errorf("%d records, %v", len(logs), err)
	}
}
