package kafka

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// lines is what was logged, a line each.
type lines struct{ bytes.Buffer }

func (l *lines) take() []string {
	text := strings.TrimSuffix(l.String(), "\n")
	l.Reset()
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// want checks that what was logged since the last time are lines with these texts.
func (l *lines) want(t *testing.T, what string, texts ...string) {
	t.Helper()
	got := l.take()
	if len(got) != len(texts) {
		t.Fatalf("%s: logged %q, want %q", what, got, texts)
	}
	for i, text := range texts {
		if !strings.Contains(got[i], text) {
			t.Errorf("%s: logged %q, want %q", what, got[i], text)
		}
	}
}

func TestClientTellsLess(t *testing.T) {
	var out lines
	log := slog.New(&clientLog{slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo}), new(trouble)}).With("a", 1).WithGroup("g")
	log.Info("chatter")
	out.want(t, "information")
	log.Error("refused", "b", 2)
	out.want(t, "a complaint", `level=ERROR msg="kafka: there is trouble with the brokers; trying again" a=1 g.client=refused g.b=2`)
}

// All clients together tell of trouble at first, now and then, and when it is over.
func TestTroubleIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out lines
		var all trouble
		logOf := func(level slog.Level) *clientLog {
			return &clientLog{slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level}), &all}
		}
		one, other := logOf(slog.LevelInfo), logOf(slog.LevelInfo)
		answer := func() { one.OnBrokerE2E(kgo.BrokerMetadata{}, keyFetch, kgo.BrokerE2E{}) }
		complain := func(times int) {
			for range times {
				slog.New(one).Warn("no connection", "broker", 1)
				slog.New(other).Error("no answer")
				time.Sleep(100 * time.Millisecond)
			}
		}
		answer()
		out.want(t, "all is well")
		complain(50)
		out.want(t, "at first", `level=WARN msg="kafka: there is trouble with the brokers; trying again" client="no connection" broker=1`)
		complain(251)
		out.want(t, "after a while", `complaints=600 client="no connection"`)
		answer()
		out.want(t, "another broker answers")
		other.OnBrokerE2E(kgo.BrokerMetadata{}, keyFetch, kgo.BrokerE2E{WriteErr: context.DeadlineExceeded})
		time.Sleep(calmAfter)
		other.OnBrokerE2E(kgo.BrokerMetadata{}, keyFetch, kgo.BrokerE2E{WriteErr: context.DeadlineExceeded})
		out.want(t, "no answer")
		answer()
		answer()
		out.want(t, "it is over", `level=INFO msg="kafka: the trouble with the brokers is over"`)
		complain(1)
		out.want(t, "again", "there is trouble")

		debugging := slog.New(logOf(slog.LevelDebug))
		debugging.Warn("still none")
		debugging.Info("chatter")
		out.want(t, "who debugs it gets all", `level=DEBUG msg="still none"`, `level=DEBUG msg=chatter`)
	})
}

// The clients that are made from copies of one Config belong together.
func TestTroubleIsShared(t *testing.T) {
	var out lines
	cfg := DefaultConfig()
	cfg.Logger = slog.New(slog.NewTextHandler(&out, nil))
	other := cfg
	other.ClientID = "another"
	logs := []*clientLog{cfg.clientLog(), other.clientLog()}
	for _, log := range logs {
		slog.New(log).Warn("no connection")
	}
	out.want(t, "two clients", "there is trouble")
	bare := Config{Logger: cfg.Logger}
	slog.New(bare.clientLog()).Warn("no connection")
	out.want(t, "a Config that began with nothing", "there is trouble")
}
