package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/godwit-im/godwit/server"
	"github.com/godwit-im/godwit/server/config"
)

// stopTimeout bounds an ordered stop: clients have five seconds for the closing
// handshake, and sends that are under way have twenty for the log's answer.
const stopTimeout = 25 * time.Second

// gcPercent is how much garbage a node lets come together before it collects, in
// percent of what is live, unless GOGC says otherwise. Most of what is live is state
// of connections, which makes no garbage; docs/performance.md has the figures.
const gcPercent = 50

// runNode starts a node, calls started, and runs it until it is told to stop or
// cannot go on. A second signal ends the process at once.
func runNode(o server.Options, started func(*server.Node)) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	node, err := server.Start(ctx, o)
	if err != nil {
		return err
	}
	started(node)
	select {
	case <-ctx.Done():
		o.Log.Info("stopping")
	case <-node.Failed():
		o.Log.Error("the node cannot go on", "err", node.Err())
	}
	stop() // from here on a signal has its usual effect
	timeout := stopTimeout
	if o.Config.Cluster.Enabled {
		timeout += server.LeaveTimeout
	}
	end, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return errors.Join(node.Err(), node.Stop(end))
}

// newLogger returns the log that the settings ask for.
func newLogger(l config.Log, w io.Writer) (*slog.Logger, error) {
	return newLoggerAt(new(slog.LevelVar), l, w)
}

// newLoggerAt is newLogger with a level that may be changed later on.
func newLoggerAt(level *slog.LevelVar, l config.Log, w io.Writer) (*slog.Logger, error) {
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	options := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return slog.New(slog.NewTextHandler(w, options)), nil
}
