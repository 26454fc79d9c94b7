package load

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server"
	"github.com/godwit-im/godwit/server/auth"
	"github.com/godwit-im/godwit/server/config"
)

// gnet, which the servers of the tests use, keeps a pool of goroutines for the process.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent(),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"))
}

// patience only ends tests that have failed.
const patience = 3 * time.Minute

const partitions = 16

var secret = bytes.Repeat([]byte("k"), 32)

// node starts a node with an embedded broker and returns its address.
func node(t *testing.T, change ...func(*config.Config)) string {
	t.Helper()
	return nodeOn(t, kafkatest.Embedded(t, partitions), change...)
}

// nodeOn starts a node on a log.
func nodeOn(t *testing.T, kc kafka.Config, change ...func(*config.Config)) string {
	t.Helper()
	c := config.Default()
	c.Listen, c.Admin = "127.0.0.1:0", "127.0.0.1:0"
	c.Kafka.Brokers, c.Kafka.Namespace, c.Kafka.Partitions = kc.Brokers, kc.Namespace, partitions
	c.Token.KeyFile = "unused"
	c.Limits.SendsPerSecond = 0
	for _, f := range change {
		f(&c)
	}
	full, err := config.Load(c, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	n, err := server.Start(ctx, server.Options{Config: full, Key: secret, Embedded: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := n.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	for n.Ready() != nil {
		if ctx.Err() != nil {
			t.Fatal(n.Ready())
		}
		time.Sleep(time.Millisecond)
	}
	return strings.TrimSuffix(strings.TrimPrefix(n.URL(), "ws://"), "/v1/connect")
}

func start(t *testing.T, c Config) *Generator {
	t.Helper()
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// flawless fails the test unless all went well and so many deliveries arrived.
func flawless(t *testing.T, r Result, err error, deliveries int64) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if !r.Stats.Flawless() || !r.Check.Exact() || r.Check.Due != deliveries || r.Stats.Deliveries != deliveries {
		t.Fatalf("want %d deliveries and no flaw: %+v", deliveries, r)
	}
}

func TestShapes(t *testing.T) {
	addr := node(t)
	for _, c := range []Config{
		{Protocol: Proto, Connections: 300, Loops: 2},
		{Protocol: JSON, Connections: 300, Users: 100, Loops: 3, Tables: true},
	} {
		t.Run(string(c.Protocol), func(t *testing.T) {
			c.Addr, c.Key, c.Partitions = addr, secret, partitions
			g := start(t, c)
			devices := int64(1)
			if c.Users > 0 {
				devices = int64(c.Connections / c.Users)
			}
			ctx := within(t)
			r, err := g.Connect(ctx, c.Connections, 0)
			if err != nil || r.Stats.Open != int64(c.Connections) || r.Connect.Count != int64(c.Connections) {
				t.Fatalf("%+v, %v", r, err)
			}

			r, err = g.Run(ctx, Traffic{Shape: Unicast, Size: 200, Rate: 2000, Count: 500})
			flawless(t, r, err, 500*2*devices)
			if r.Ack.Count != 500 || r.Ack.Max <= 0 || r.Deliver.Count == 0 {
				t.Errorf("latencies: %+v, %+v", r.Ack, r.Deliver)
			}
			r, err = g.Run(ctx, Traffic{Shape: Neighbour, Size: MinSize, InFlight: 20, Count: int64(c.Connections)})
			flawless(t, r, err, int64(c.Connections)*2*devices)

			r, err = g.Run(ctx, Traffic{Shape: Group, Size: 512, InFlight: 8, Count: 400, Fanout: 8, Burst: 4})
			if err != nil || !r.Stats.Flawless() || !r.Check.Exact() || r.Stats.Stored != 400 {
				t.Fatalf("%+v, %v", r, err)
			}
			if r.Stats.Deliveries < 400*4*devices {
				t.Errorf("%d deliveries of 400 messages to groups of up to 8 users", r.Stats.Deliveries)
			}
			r, err = g.Run(ctx, Traffic{Shape: Unicast, Size: 200, InFlight: 10, Duration: 50 * time.Millisecond})
			flawless(t, r, err, r.Stats.Stored*2*devices)
			if r.Stats.Stored == 0 {
				t.Error("nothing was sent")
			}
			g.each(func(l *loop) {
				l.slots.each(func(c *conn) {
					if c.buf != nil || c.reader.Buffered() != 0 {
						t.Error("an idle connection holds a buffer")
					}
				})
			})
		})
	}
}

func TestStorm(t *testing.T) {
	g := start(t, Config{Addr: node(t), Protocol: Proto, Connections: 200, Key: secret, Partitions: partitions, Loops: 2})
	ctx := within(t)
	if _, err := g.Connect(ctx, 200, 10_000); err != nil {
		t.Fatal(err)
	}
	r, err := g.Storm(ctx, 50, 0)
	if err != nil || r.Stats.Opened != 50 || r.Stats.Closed != 50 || r.Stats.Open != 200 {
		t.Fatalf("%+v, %v", r, err)
	}
	r, err = g.Run(ctx, Traffic{Shape: Neighbour, Size: 100, InFlight: 10, Count: 200})
	flawless(t, r, err, 400)
}

func TestChurn(t *testing.T) {
	g := start(t, Config{Addr: node(t), Protocol: JSON, Connections: 100, Key: secret})
	ctx := within(t)
	for range 2 {
		r, err := g.Churn(ctx, 100, 0)
		if err != nil || r.Stats.Opened != 100 || r.Stats.Closed != 100 || r.Stats.Open != 0 {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	if r, err := g.Reopen(ctx, 60, 0); err != nil || r.Stats.Open != 60 {
		t.Fatalf("%+v, %v", r, err)
	}
}

// TestSlowReaders: who does not read is not checked, and the others get everything.
func TestSlowReaders(t *testing.T) {
	g := start(t, Config{Addr: node(t), Protocol: Proto, Connections: 100, Key: secret, Partitions: partitions})
	ctx := within(t)
	if _, err := g.Connect(ctx, 100, 0); err != nil {
		t.Fatal(err)
	}
	if n := g.Slow(10); n != 10 {
		t.Fatalf("%d are slow", n)
	}
	r, err := g.Run(ctx, Traffic{Shape: Unicast, Size: 1000, InFlight: 50, Count: 2000})
	if err != nil || !r.Stats.Flawless() || !r.Check.Exact() || r.Check.Checked != 90 || r.Check.Unchecked != 10 {
		t.Fatalf("%+v, %v", r, err)
	}
	if n := g.Resume(); n != 10 {
		t.Fatalf("%d had been slow", n)
	}
	r, err = g.Run(ctx, Traffic{Shape: Neighbour, Size: 1000, InFlight: 50, Count: 100})
	if err != nil || r.Stats.Stored != 100 {
		t.Fatalf("%+v, %v", r, err)
	}
}

// TestPing measures the loops alone: nothing reaches the log.
func TestPing(t *testing.T) {
	addr := node(t)
	for _, p := range []Protocol{JSON, Proto} {
		g := start(t, Config{Addr: addr, Protocol: p, Connections: 20, Key: secret, Loops: 2})
		ctx := within(t)
		if _, err := g.Connect(ctx, 20, 0); err != nil {
			t.Fatal(err)
		}
		for name, traffic := range map[string]Traffic{
			"rate":      {Shape: Ping, Rate: 2000, Count: 300},
			"saturated": {Shape: Ping, InFlight: 100, Count: 300}, // more than connections
		} {
			r, err := g.Run(ctx, traffic)
			if err != nil || !r.Stats.Flawless() || r.Stats.Sent != 300 || r.Stats.Stored != r.Stats.Sent || r.Ack.Count != r.Stats.Stored ||
				r.Stats.Pings != r.Stats.Sent || r.Stats.Frames != r.Stats.Sent || r.Stats.Deliveries != 0 || !r.Check.Exact() || r.Check.Due != 0 {
				t.Fatalf("%s, %s: %+v, %v", p, name, r, err)
			}
		}
		g.Close()
	}
	plain := Config{Addr: addr, Protocol: Plain, Connections: 1}
	if err := (Traffic{Shape: Ping, Rate: 1, Count: 1}).Validate(plain); err == nil {
		t.Error("a server that is not godwit was taken")
	}
}

// TestRejections: what a node rejects is counted, and nobody is due it.
func TestRejections(t *testing.T) {
	addr := node(t, func(c *config.Config) { c.Limits.SendsPerSecond, c.Limits.SendsBurst = 1, 30 })
	g := start(t, Config{Addr: addr, Protocol: Proto, Connections: 2, Key: secret})
	ctx := within(t)
	if _, err := g.Connect(ctx, 2, 0); err != nil {
		t.Fatal(err)
	}
	r, err := g.Run(ctx, Traffic{Shape: Unicast, Size: 100, InFlight: 2, Count: 100})
	if err != nil || r.Stats.Rejected == 0 || r.Stats.Events["rejected: rate_limited"] != r.Stats.Rejected ||
		r.Stats.Retryable != r.Stats.Rejected || r.Stats.Flawless() || !r.Stats.NothingWrong() ||
		r.Stats.Stored+r.Stats.Rejected != 100 || !r.Check.Exact() || r.Check.Due != 2*r.Stats.Stored {
		t.Fatalf("%+v, %v", r, err)
	}
}

func TestRefusals(t *testing.T) {
	g := start(t, Config{Addr: node(t), Protocol: Proto, Connections: 3, Key: bytes.Repeat([]byte("x"), 32)})
	r, err := g.Connect(within(t), 3, 0)
	if err != nil || r.Stats.Failed != 3 || r.Stats.Open != 0 || r.Stats.Events["connect: ws: the server answered 401 Unauthorized"] != 3 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestTokens has the server's own verifier read a token of the fast signer.
func TestTokens(t *testing.T) {
	v, err := auth.NewVerifier(auth.Options{Algorithm: auth.HS256, Key: secret})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	s := newSigner(secret, now)
	for _, user := range []string{"load-0", "load-12345"} {
		c, err := v.Verify(string(s.append(nil, []byte(user))), now)
		if err != nil || c.User != user || c.Expires.Before(now.Add(tokenLife-time.Minute)) {
			t.Errorf("%s: %+v, %v", user, c, err)
		}
	}
}

// TestHeartbeats: a silent connection sends pings, and the pong makes it heard.
func TestHeartbeats(t *testing.T) {
	addr := node(t, func(c *config.Config) { c.Limits.Heartbeat = time.Second })
	g := start(t, Config{Addr: addr, Protocol: JSON, Connections: 4, Key: secret, Heartbeats: true})
	if _, err := g.Connect(within(t), 4, 0); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		// Four welcomes, and a pong for each ping.
		if s := g.Stats(); s.Pings >= 4 && s.Frames >= 8 {
			break
		} else if time.Now().After(end) {
			t.Fatalf("%+v", s)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	good := Config{Addr: "127.0.0.1:1", Protocol: Proto, Connections: 1, Key: secret}
	for want, change := range map[string]func(*Config){
		"Protocol":    func(c *Config) { c.Protocol = "x" },
		"Connections": func(c *Config) { c.Connections = 0 },
		"Users":       func(c *Config) { c.Users = 2 },
		"Prefix":      func(c *Config) { c.Prefix = `"` },
		"Key":         func(c *Config) { c.Key = nil },
		"Partitions":  func(c *Config) { c.Partitions = -1 },
		"Loops":       func(c *Config) { c.Loops = -1 },
		"Addr":        func(c *Config) { c.Addr = ":80" },
		"Tables":      func(c *Config) { c.Tables, c.Loops, c.Connections = true, 1, perTable+1 },
		"MSS":         func(c *Config) { c.MSS = 1 },
		"Follow":      func(c *Config) { c.Follow, c.Protocol = true, Plain },
		"Seeds":       func(c *Config) { c.Seeds = []string{"127.0.0.1:2"} },
		"Seeds is \"": func(c *Config) { c.Follow, c.Seeds = true, []string{":2"} },
		"MaxBackoff":  func(c *Config) { c.Follow, c.MaxBackoff = true, time.Millisecond },
		"Lives":       func(c *Config) { c.Partitions, c.Lives = 4, []backplane.Partition{4} },
		"ReceiveBuf":  func(c *Config) { c.ReceiveBuffer = -1 },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestTrafficIsChecked(t *testing.T) {
	c := Config{Protocol: Proto, Connections: 2, Users: 2, Partitions: 1}
	good := Traffic{Shape: Group, Size: 100, Rate: 1, Count: 1, Fanout: 2}
	if t1 := good; t1.complete(&c) != nil {
		t.Fatal(t1.complete(&c))
	}
	for want, change := range map[string]func(*Traffic){
		"Shape":    func(t *Traffic) { t.Shape = "x" },
		"Size":     func(t *Traffic) { t.Size = MinSize - 1 },
		"InFlight": func(t *Traffic) { t.Rate = 0 },
		"Duration": func(t *Traffic) { t.Count = 0 },
		"Fanout":   func(t *Traffic) { t.Fanout = 66 },
		"Page":     func(t *Traffic) { t.Shape, t.Page = History, codec.MaxPage+1 },
	} {
		bad := good
		change(&bad)
		if err := bad.complete(&c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestHTTPServer: what answers is no WebSocket server.
func TestHTTPServer(t *testing.T) {
	addr, stop := serveHTTP(t, http.NotFoundHandler())
	defer stop()
	g := start(t, Config{Addr: addr, Protocol: Plain, Connections: 2})
	r, err := g.Connect(within(t), 2, 0)
	if err != nil || r.Stats.Failed != 2 || r.Stats.Events["connect: ws: the server answered 404 Not Found"] != 2 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestAbsent: a message to somebody who is not there comes back to its sender only.
func TestAbsent(t *testing.T) {
	g := start(t, Config{Addr: node(t), Protocol: Proto, Connections: 10, Key: secret})
	ctx := within(t)
	if _, err := g.Connect(ctx, 10, 0); err != nil {
		t.Fatal(err)
	}
	r, err := g.Run(ctx, Traffic{Shape: Absent, Size: 100, InFlight: 10, Count: 100})
	flawless(t, r, err, 100)
}

// TestFeed: messages that come from another node arrive as others do.
func TestFeed(t *testing.T) {
	log := kafkatest.Embedded(t, partitions)
	g := start(t, Config{Addr: nodeOn(t, log), Feed: nodeOn(t, log), Protocol: Proto, Connections: 200, Key: secret, Partitions: partitions, Loops: 2})
	ctx := within(t)
	if _, err := g.Connect(ctx, 200, 0); err != nil {
		t.Fatal(err)
	}
	if r, err := g.OpenFeed(ctx); err != nil || r.Stats.Opened != 2*partitions {
		t.Fatalf("%+v, %v", r, err)
	}
	r, err := g.Run(ctx, Traffic{Shape: Group, Size: 512, InFlight: 16, Count: 200, Fanout: 64})
	if err != nil || !r.Stats.Flawless() || !r.Check.Exact() || r.Stats.Stored != 200 || r.Check.Checked != 200 {
		t.Fatalf("%+v, %v", r, err)
	}
	if r.Stats.Deliveries < 1000 || r.Deliver.Count != r.Stats.Deliveries {
		t.Errorf("%d deliveries, %d of them timed", r.Stats.Deliveries, r.Deliver.Count)
	}
}
