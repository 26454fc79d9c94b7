package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/bench/load"
	"github.com/godwit-im/godwit/server/auth"
)

// TestIdleConnections: a connection costs no goroutine, whether it was just made or has
// sent and received, and when nothing is under way the node holds no frame and no
// unfinished message for any.
func TestIdleConnections(t *testing.T) {
	const (
		connections = 5000
		// Goroutines of a node come and go by a few: requests to the admin port, connections
		// to brokers, and what its libraries do at times.
		slack = 16
	)
	n := serve(t, kafkatest.Embedded(t, 8), newKey(t, auth.HS256))
	g, err := load.New(load.Config{
		Addr: strings.TrimSuffix(strings.TrimPrefix(n.url, "ws://"), "/v1/connect"), Protocol: load.JSON,
		Connections: connections, Key: n.key.private.([]byte),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	exchange := func(count int64) {
		t.Helper()
		r, err := g.Run(ctx, load.Traffic{Shape: load.Neighbour, Size: 100, InFlight: 500, Count: count})
		if err != nil || !r.Stats.Flawless() || !r.Check.Exact() || r.Stats.Stored != count {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	open := func(count int) {
		t.Helper()
		if r, err := g.Connect(ctx, count, 0); err != nil || r.Stats.Opened != int64(count) {
			t.Fatalf("%+v, %v", r, err)
		}
	}

	open(2) // what serves all of them has begun then, such as the connections to brokers
	exchange(2)
	few := n.metrics(t).of(t, "go_goroutines")
	open(connections - 2)
	atRest := func(when string) {
		t.Helper()
		eventually(t, fmt.Sprintf("%s, the node has about the %v goroutines that it had for two", when, few), func() bool {
			return n.metrics(t).of(t, "go_goroutines") <= few+slack
		})
		eventually(t, "the node holds nothing for its connections", func() bool {
			m := n.metrics(t)
			return m.of(t, "godwit_frame_bytes") == 0 && m.sum(t, "godwit_mailbox_entries") == 0
		})
		if m := n.metrics(t); m.of(t, "godwit_sessions") != connections || m.sum(t, "godwit_drops_total") != 0 {
			t.Errorf("%s: %v sessions, %v drops", when, m.of(t, "godwit_sessions"), m.sum(t, "godwit_drops_total"))
		}
	}
	atRest("connected")
	exchange(connections)
	atRest("after each has sent and received")
}
