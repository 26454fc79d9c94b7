package server

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/godwit-im/godwit/backplane/history"
	"github.com/godwit-im/godwit/backplane/history/cassandra"
	"github.com/godwit-im/godwit/backplane/history/cassandratest"
	"github.com/godwit-im/godwit/server/config"
	"github.com/godwit-im/godwit/server/historian"
	"github.com/godwit-im/godwit/tools/client"
)

var quiet = slog.New(slog.DiscardHandler)

// withCassandra returns what a node is started with whose history is in a Cassandra, and
// lets nothing be answered from memory.
func withCassandra(t *testing.T, p *cassandratest.Process) Options {
	t.Helper()
	o := options(t)
	cc := p.Config(t)
	c := o.Config
	c.Limits.TailBytes, c.Unsafe = 0, true
	c.History.Store = config.HistoryCassandra
	c.History.Cassandra.Hosts, c.History.Cassandra.Replication, c.History.Cassandra.Keyspace = cc.Hosts, 1, "godwit_"+cc.Keyspace
	cc, err := historian.CassandraConfig(c, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := cassandra.Create(ctx, cc); err != nil {
		t.Fatal(err)
	}
	return o
}

// startHistory starts a process that writes history, and stops it when the test ends.
func startHistory(t *testing.T, c *config.Config) *HistoryProcess {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p, err := StartHistory(ctx, c, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := p.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return p
}

// applied returns how many offsets a store has applied, -1 if it does not tell.
func applied(s history.Store, c *config.Config) (n int64) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	positions, err := s.Applied(ctx, c.Kafka.Generation, c.Kafka.Partitions)
	if err != nil {
		return -1
	}
	for _, a := range positions {
		n += a.Offset + 1
	}
	return n
}

// hear connects as a user, and returns what is delivered by and by.
func hear(t *testing.T, n *running, key []byte, user string) (bodies func() []string) {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": user, "exp": time.Now().Add(time.Hour).Unix()}).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var heard []string
	connected := make(chan struct{}, 16)
	c, err := client.New(client.Options{
		URLs: []string{n.URL()}, Token: client.StaticToken(token),
		OnMessage: func(m client.Message) {
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, string(m.Body))
		},
		OnState: func(s client.State) {
			if s.Phase == client.Connected {
				connected <- struct{}{}
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = c.Run(ctx) }) // it ends when the test does
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	select {
	case <-connected:
	case <-time.After(patience):
		t.Fatal("not connected")
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(heard)
	}
}

// TestStoreDown stops Cassandra while messages go on: they are stored and delivered; who
// asks for what it has is told to come back, and gets all when it is there again.
func TestStoreDown(t *testing.T) {
	down := cassandratest.Private(t)
	o := withCassandra(t, down)
	process := startHistory(t, o.Config)
	n := startNode(t, o)
	heard := hear(t, n, o.Key, "bob")
	say(t, n, "alice", "bob", "1", "2", "3")
	// Of the four partitions alice and bob live in different ones.
	eventually(t, "history has the first messages", func() bool { return applied(process.store, o.Config) == 2*3 })
	stored := show(t, n, "bob", "")
	if got := stored.bodies(); !slices.Equal(got, []string{"1", "2", "3"}) {
		t.Fatalf("bob's timeline is %v", got)
	}

	down.Pause()
	t.Cleanup(down.Resume)
	say(t, n, "alice", "bob", "4", "5")
	eventually(t, "what is sent meanwhile is delivered", func() bool { return slices.Equal(heard(), []string{"1", "2", "3", "4", "5"}) })
	r, answer := ask(t, n, "GET", "/v1/history?user=bob&before="+stored.Messages[2].Cursor, "")
	if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" || !strings.Contains(answer, `"code":"history_unavailable"`) {
		t.Errorf("while the store is down: %s, %s", r.Status, answer)
	}
	if r, answer := ask(t, n, "GET", "/readyz", ""); r.StatusCode != 200 {
		t.Errorf("the node is not ready: %s, %s", r.Status, answer)
	}
	if status, answer := get(t, process.AdminURL()+"/readyz"); status != 200 {
		t.Errorf("the process that writes history is not ready: %d, %s", status, answer)
	}

	for _, metric := range []string{"godwit_history_alarm 0", "godwit_kafka_group_", "godwit_history_writer_entries_total 6"} {
		if _, metrics := get(t, process.AdminURL()+"/metrics"); !strings.Contains(metrics, metric) {
			t.Errorf("no %q among the metrics", metric)
		}
	}

	down.Resume()
	eventually(t, "history has all messages", func() bool { return applied(process.store, o.Config) == 2*5 })
	eventually(t, "the timeline is there", func() bool {
		r, _ := ask(t, n, "GET", "/v1/history?user=bob", "")
		return r.StatusCode == 200
	})
	if got := show(t, n, "bob", "").bodies(); !slices.Equal(got, []string{"1", "2", "3", "4", "5"}) {
		t.Errorf("bob's timeline is %v", got)
	}
}
