package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/godwit-im/godwit/backplane/history"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/server/admin"
	"github.com/godwit-im/godwit/server/config"
	"github.com/godwit-im/godwit/server/historian"
)

// HistoryProcess is what writes the history of a cluster, without a node: it is a member of
// the consumer group that divides the partitions among all of them. Its methods may be
// called from any goroutine.
type HistoryProcess struct {
	store     history.Store
	historian *historian.Historian
	admin     *admin.Server
}

// StartHistory starts to write, and returns when the process has asked to become a member
// of its group. ctx bounds the start only. The store that the settings name must be one that
// several processes share.
func StartHistory(ctx context.Context, c *config.Config, log *slog.Logger) (_ *HistoryProcess, err error) {
	p := &HistoryProcess{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Stop(context.Background()))
		}
	}()
	hc, err := HistorianConfig(ctx, c, false, log)
	if err != nil {
		return nil, err
	}
	if p.store, err = historian.Open(ctx, c, hc.Kafka, log); err != nil {
		return nil, err
	}
	hc.Store = p.store
	if p.historian, err = historian.Start(hc); err != nil {
		return nil, err
	}
	token, err := c.AdminToken()
	if err != nil {
		return nil, err
	}
	metrics := prometheus.NewRegistry()
	for _, m := range []prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), p.historian,
	} {
		if err := metrics.Register(m); err != nil {
			return nil, fmt.Errorf("server: metrics: %w", err)
		}
	}
	if p.admin, err = admin.New(admin.Config{
		Listen: c.Admin, Token: token, Gatherer: metrics, Ready: p.historian.Ready, Warning: p.historian.Err, Log: log,
	}); err != nil {
		return nil, err
	}
	return p, metrics.Register(p.admin)
}

// HistorianConfig returns what the settings say of writing history, but for the store. It
// reads the files that the settings name, and verifies the topic, unless that is one of the
// embedded broker.
func HistorianConfig(ctx context.Context, c *config.Config, embedded bool, log *slog.Logger) (historian.Config, error) {
	kc, err := KafkaConfig(c, log)
	if err != nil {
		return historian.Config{}, err
	}
	if !embedded {
		if err := verifyTopic(ctx, c, kc, log); err != nil {
			return historian.Config{}, err
		}
	}
	return historianConfig(ctx, c, kc, log)
}

// historianConfig is HistorianConfig for a topic that needs no verification any more.
func historianConfig(ctx context.Context, c *config.Config, kc kafka.Config, log *slog.Logger) (historian.Config, error) {
	keep, err := historian.LogRetention(ctx, kc)
	if err != nil {
		return historian.Config{}, err
	}
	hc := historian.Config{
		Kafka: kc, Workers: workersOf(c), Retention: c.History.Retention, LogRetention: keep, Log: log,
	}
	if c.History.Store == config.HistoryCassandra {
		hc.Group = historian.Group(c.Kafka.Namespace, c.Kafka.Generation)
	}
	return hc, nil
}

// workersOf returns how many dispatch workers there are to be.
func workersOf(c *config.Config) int {
	if c.Workers == 0 {
		return runtime.GOMAXPROCS(0)
	}
	return c.Workers
}

// AdminURL returns the address of the admin port.
func (p *HistoryProcess) AdminURL() string { return "http://" + p.admin.Addr().String() }

// Stop stops reading, writes what was read in the time that ctx leaves, and leaves the group,
// so that others take over at once. An error says that some of it was not written; whoever
// takes over makes that good.
func (p *HistoryProcess) Stop(ctx context.Context) (err error) {
	if p.historian != nil {
		err = p.historian.Close(ctx)
	}
	if p.store != nil {
		err = errors.Join(err, p.store.Close())
	}
	if p.admin != nil {
		err = errors.Join(err, p.admin.Close(ctx))
	}
	return err
}
