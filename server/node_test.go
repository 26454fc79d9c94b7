package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/godwit-im/godwit/backplane/embedded"
	"github.com/godwit-im/godwit/server/auth"
	"github.com/godwit-im/godwit/server/config"
)

// gnet keeps a pool of goroutines, for the process.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent(),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"))
}

const patience = 90 * time.Second

// options returns what a node on an embedded broker is started with.
func options(t *testing.T) Options {
	t.Helper()
	ec := embedded.DefaultConfig()
	ec.Partitions = 4
	broker, err := embedded.Start(ec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	key, err := auth.OpenDevKey(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	secret, err := os.ReadFile(key.File())
	if err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Listen, c.Admin = "127.0.0.1:0", "127.0.0.1:0"
	c.Kafka.Brokers, c.Kafka.Partitions = []string{broker.Addr()}, ec.Partitions
	c.Token.KeyFile = key.File()
	loaded, err := config.Load(c, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return Options{Config: loaded, Key: secret, Embedded: true, Log: slog.New(slog.DiscardHandler)}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestStartAndStop(t *testing.T) {
	o := options(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	n, err := Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); n.Ready() != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(n.Ready())
		}
	}
	public := strings.TrimSuffix(strings.Replace(n.URL(), "ws:", "http:", 1), config.ConnectPath)
	if o.Config.Advertise != "" || strings.HasSuffix(public, ":0") {
		t.Errorf("the node is at %s; the settings were changed to %q", public, o.Config.Advertise)
	}
	if status, body := get(t, public+"/healthz"); status != 200 {
		t.Errorf("health: %d %s", status, body)
	}
	if status, body := get(t, n.AdminURL()+"/readyz"); status != 200 {
		t.Errorf("readiness: %d %s", status, body)
	}
	status, metrics := get(t, n.AdminURL()+"/metrics")
	for _, name := range []string{"godwit_connections ", `godwit_drops_total{reason="outbox_full"} 0`, `godwit_records_total{result="dispatched"} 0`,
		"godwit_kafka_", "go_goroutines", "godwit_connections_accepted_total 1"} {
		if status != 200 || !strings.Contains(metrics, name) {
			t.Errorf("no %q among the metrics (%d)", name, status)
		}
	}
	if err := n.Stop(ctx); err != nil {
		t.Error(err)
	}
	select {
	case <-n.Failed():
	default:
		t.Error("the reactor has not ended")
	}
	if n.Err() != nil {
		t.Error(n.Err())
	}
}

// TestFailedStarts leaves nothing behind, which the check for leaks sees.
func TestFailedStarts(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tt := range []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"public port in use", func(o *Options) { o.Config.Listen = taken.Addr().String() }, "address already in use"},
		{"admin port in use", func(o *Options) { o.Config.Admin = taken.Addr().String() }, "address already in use"},
		{"other number of partitions", func(o *Options) { o.Config.Kafka.Partitions, o.Embedded = 5, false }, "has 4 partitions, but the configuration says 5"},
		{"unsafe topic", func(o *Options) { o.Embedded = false }, "is not safe"},
		{"bad key", func(o *Options) { o.Key = []byte("short") }, "needs 32 or more"},
		{"no broker", func(o *Options) { o.Config.Kafka.Brokers, o.Embedded = []string{"127.0.0.1:1"}, false }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options(t)
			tt.change(&o)
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			n, err := Start(ctx, o)
			if err == nil {
				_ = n.Stop(ctx)
				t.Fatal("started")
			}
			if !strings.Contains(fmt.Sprint(err), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}
