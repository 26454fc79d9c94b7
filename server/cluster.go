package server

import (
	"cmp"
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/beats"
	"github.com/godwit-im/godwit/backplane/cluster/control"
	"github.com/godwit-im/godwit/backplane/cluster/kafkalog"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/server/admin"
	"github.com/godwit-im/godwit/server/agent"
	"github.com/godwit-im/godwit/server/config"
	"github.com/godwit-im/godwit/server/reactor"
	"github.com/godwit-im/godwit/server/session"
)

// clusterPart is the node's part in its cluster as the rest of the node sees it, from
// before its agent runs. It is admin.Cluster.
type clusterPart struct {
	node  string
	agent atomic.Pointer[agent.Agent] // nil until it runs
}

var _ admin.Cluster = (*clusterPart)(nil)

// clusterOf returns p as what the admin port asks for, which must be nil for none.
func clusterOf(p *clusterPart) admin.Cluster {
	if p == nil {
		return nil
	}
	return p
}

// startAgent makes the node a part of its cluster.
func (n *Node) startAgent(ctx context.Context, c *config.Config, o *Options, kc kafka.Config, deps *session.Deps, re *reactor.Reactor) error {
	if !o.Embedded {
		if err := verifyClusterTopics(ctx, c, kc, o.Log); err != nil {
			return err
		}
	}
	adminURL := c.Cluster.AdminURL
	if adminURL == "" {
		adminURL = n.AdminURL()
	}
	role := cluster.Active
	if c.Cluster.Role == config.RoleStandby {
		role = cluster.Standby
	}
	a, err := agent.Start(ctx, agent.Config{
		Kafka: kc, Node: c.Node, URL: n.advertise, Admin: adminURL, Capacity: int(re.Stats().Cap), Role: role, Weight: c.Cluster.Weight,
		Placement: deps.Placement, Registry: deps.Registry, Consumer: n.consumer, Loops: re, Live: n.live(c, o),
		Produced: n.producer.Heard, Fetched: n.consumer.Heard, Log: o.Log,
	})
	if err != nil {
		return err
	}
	n.cluster.agent.Store(a)
	return nil
}

// verifyClusterTopics checks that the topics of the cluster are what they should be.
func verifyClusterTopics(ctx context.Context, c *config.Config, kc kafka.Config, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, topicTimeout)
	defer cancel()
	findings, err := kafkalog.Verify(ctx, kc, c.Unsafe)
	for _, f := range findings {
		log.Warn("a topic of the cluster is not as it should be", "finding", f.String())
	}
	return err
}

// live returns what takes the settings that change while the node runs.
func (n *Node) live(c *config.Config, o *Options) func(cluster.Live) {
	return func(l cluster.Live) {
		n.rate.Set(sends(l, &c.Limits))
		level := l.LogLevel
		if level == "" {
			level = c.Log.Level
		}
		if o.Level != nil {
			_ = o.Level.UnmarshalText([]byte(level)) // it was judged before it became a setting
		}
		attrs := []any{}
		for _, s := range admin.LiveSettings(l) {
			attrs = append(attrs, s.Name, s.Value)
		}
		o.Log.Info("the cluster's settings are in force", attrs...)
	}
}

// sends returns the bounds of a connection's sends: of each number that of the cluster, if
// it has one, else that of the node. A second's worth may always come at once.
func sends(l cluster.Live, limits *config.Limits) (perSecond, burst int) {
	perSecond = cmp.Or(l.SendsPerSecond, limits.SendsPerSecond)
	return perSecond, max(perSecond, cmp.Or(l.SendsBurst, limits.SendsBurst))
}

// Degraded reports whether the node has lost its log. Any goroutine may call it.
func (p *clusterPart) Degraded() bool {
	a := p.get()
	return a != nil && a.Degraded()
}

// get returns the agent, nil while there is none; p may be nil.
func (p *clusterPart) get() *agent.Agent {
	if p == nil {
		return nil
	}
	return p.agent.Load()
}

// Describe sends nothing: like its agent, p is an unchecked collector.
func (p *clusterPart) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (p *clusterPart) Collect(ch chan<- prometheus.Metric) {
	if a := p.get(); a != nil {
		a.Collect(ch)
	}
}

// Node implements admin.Cluster.
func (p *clusterPart) Node() string { return p.node }

// Snapshot implements admin.Cluster.
func (p *clusterPart) Snapshot() *cluster.Snapshot {
	if a := p.get(); a != nil {
		return a.Snapshot()
	}
	return nil
}

// Beats implements admin.Cluster.
func (p *clusterPart) Beats() []beats.Seen {
	if a := p.get(); a != nil {
		return a.Beats()
	}
	return nil
}

// Alarm implements admin.Cluster.
func (p *clusterPart) Alarm() error {
	if a := p.get(); a != nil {
		return a.Alarm()
	}
	return nil
}

// Trail implements admin.Cluster.
func (p *clusterPart) Trail() []control.Entry {
	if a := p.get(); a != nil {
		return a.Trail()
	}
	return nil
}

// Changed implements admin.Cluster.
func (p *clusterPart) Changed() <-chan struct{} {
	if a := p.get(); a != nil {
		return a.Changed()
	}
	// Whoever asks before there is anything to tell is told to ask again.
	again := make(chan struct{})
	time.AfterFunc(time.Second, func() { close(again) })
	return again
}

// Propose implements admin.Cluster.
func (p *clusterPart) Propose(ctx context.Context, r cluster.Request) (cluster.Result, error) {
	a := p.get()
	if a == nil {
		return cluster.Result{}, errStarting
	}
	return a.Propose(ctx, r)
}
