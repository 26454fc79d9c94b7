package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/kafkalog"
	"github.com/godwit-im/godwit/backplane/kafkatest"
)

// TestClusterRefusals asks a cluster for what it must not do, at the admin port and by the
// command: it says why not, and nothing changes.
func TestClusterRefusals(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Real(t, clusterPartitions)
	createTopic(t, &cfg)
	c := newCluster(t, cfg, "a", "b")
	a := c.all["a"]
	before := c.shares(a, map[string]int{"a": 12, "b": 12})
	for _, test := range []struct {
		body, args string // args of the command; empty if it would not ask for this
		status     int
		code       string
	}{
		{`{"kind":"drain","node":"nobody"}`, "drain nobody", http.StatusNotFound, string(cluster.CodeUnknownNode)},
		{`{"kind":"remove","node":"b"}`, "remove b", http.StatusConflict, string(cluster.CodeInUse)},
		{`{"kind":"move","partitions":"24","to":"b"}`, "move 24 --to b", http.StatusBadRequest, string(cluster.CodeBadPartitions)},
		{`{"kind":"move","partitions":"0","to":"nobody"}`, "move 0 --to nobody", http.StatusNotFound, string(cluster.CodeUnknownNode)},
		{`{"kind":"settings","live":{"moves_in_flight":0}}`, "settings set moves_in_flight=0", http.StatusBadRequest, string(cluster.CodeBadSettings)},
		{`{"kind":"settings","live":{"log_level":"loud"}}`, "settings set log_level=loud", http.StatusBadRequest, string(cluster.CodeBadSettings)},
		{`{"kind":"weight","node":"a","weight":-1}`, "", http.StatusBadRequest, string(cluster.CodeBadWeight)},
		{`{"kind":"leave","node":"a"}`, "", http.StatusBadRequest, "bad_parameter"},
		{`{"kind":"drain"`, "", http.StatusBadRequest, "bad_frame"},
	} {
		_, refused := a.postText(t, []byte(test.body))
		if refused == nil || refused.Status != test.status || refused.Code != test.code || refused.Message == "" {
			t.Errorf("%s is answered %+v, want status %d and the code %s", test.body, refused, test.status, test.code)
		}
		if test.args == "" {
			continue
		}
		refusedBy(t, a, test.args, test.code)
	}

	// The last node that is active stays, even if the other would come back.
	a.granted(t, cluster.Request{Kind: cluster.KindDrain, Node: "b"})
	if _, refused := a.post(t, cluster.Request{Kind: cluster.KindDrain, Node: "a"}); refused == nil || refused.Code != string(cluster.CodeLastNode) {
		t.Errorf("to drain the last node is answered %+v", refused)
	}
	refusedBy(t, a, "drain a", string(cluster.CodeLastNode))
	a.granted(t, cluster.Request{Kind: cluster.KindAdd, Node: "b"})
	after := c.shares(a, map[string]int{"a": 12, "b": 12})
	if !reflect.DeepEqual(after.Settings, before.Settings) {
		t.Errorf("the settings are %+v, they were %+v", after.Settings, before.Settings)
	}
}

// refusedBy runs a command that changes a cluster and checks that it says why it does not.
func refusedBy(t *testing.T, m *member, args, code string) {
	t.Helper()
	p := launch(t, append(append([]string{"cluster"}, strings.Fields(args)...), "--yes", "--admin", m.admin)...)
	if status, said := p.wait(t), p.Stderr.String(); status != 1 || !strings.Contains(said, code+": ") {
		t.Errorf("godwit cluster %s ends with %d and says %q, want the code %s", args, status, said, code)
	}
}

// inForce is what a node logs when it has applied the settings of the cluster.
const inForce = "the cluster's settings are in force"

// logged reports whether a node has logged settings in which there is a text.
func (m *member) logged(settings string) bool {
	for line := range strings.Lines(m.Stderr.String()) {
		if strings.Contains(line, inForce) && strings.Contains(line, settings) {
			return true
		}
	}
	return false
}

// userOf returns a user of a partition that a node owns.
func userOf(t testing.TB, m *member) string {
	t.Helper()
	list := owners(m.status(t))
	for i := 0; ; i++ {
		user := fmt.Sprint("guest-", i)
		if list[backplane.PartitionOf(user, int32(len(list)))] == m.name {
			return user
		}
	}
}

// TestClusterSettings changes settings of a cluster that runs: all nodes have them at once.
func TestClusterSettings(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Real(t, clusterPartitions)
	createTopic(t, &cfg)
	c := newCluster(t, cfg, "a", "b", "c")
	c.shares(c.all["a"], map[string]int{"a": 8, "b": 8, "c": 8})
	everywhere := func(settings string) {
		t.Helper()
		eventually(t, "all nodes have "+settings, func() bool {
			return !slices.ContainsFunc(c.except(), func(m *member) bool { return !m.logged(settings) })
		})
	}
	set := func(at *member, settings ...string) {
		t.Helper()
		command(t, append(append([]string{"cluster", "settings", "set"}, settings...), "--yes", "--admin", at.admin)...)
	}
	sends := func(want int) {
		t.Helper()
		for _, m := range c.except() {
			eventually(t, m.name+" tells new clients their rate", func() bool {
				d := connect(t, m.node, userOf(t, m), options{})
				defer d.hangup()
				return int(d.welcome.Limits.SendsPerSecond) == want
			})
		}
	}

	n := 7
	at := time.Now()
	c.all["b"].granted(t, cluster.Request{Kind: cluster.KindSettings, Live: &cluster.LiveChange{SendsPerSecond: &n}})
	everywhere(`"sends_per_second":7,`)
	t.Logf("a setting is in force everywhere %v after it was asked for", since(at))
	sends(7)

	// Once the level is error, what is in force is not logged any more.
	set(c.all["c"], "log_level=error")
	eventually(t, "all nodes know the level", func() bool {
		return !slices.ContainsFunc(c.except(), func(m *member) bool { return m.status(t).Settings.Live.LogLevel != "error" })
	})
	set(c.all["a"], "sends_per_second=8")
	sends(8)
	for _, m := range c.except() {
		if m.logged(`"sends_per_second":8,`) {
			t.Errorf("%s logs at a level that it should not", m.name)
		}
	}
	set(c.all["a"], "log_level=", "sends_per_second=0")
	everywhere(`"sends_per_second":0,`)
	sends(0) // as the nodes are configured
	var live cluster.Live
	if err := json.Unmarshal([]byte(command(t, "cluster", "settings", "get", "--json", "--admin", c.all["b"].admin)), &live); err != nil {
		t.Fatal(err)
	}
	if live.SendsPerSecond != 0 || live.LogLevel != "" {
		t.Errorf("the settings are %+v", live)
	}
}

// TestClusterTopicMadeAnew deletes the topic with the records of a cluster that runs, and
// makes it anew: the nodes go on with the last map that they know, say that something is
// wrong, and change nothing any more.
func TestClusterTopicMadeAnew(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Real(t, clusterPartitions)
	createTopic(t, &cfg)
	c := newCluster(t, cfg, "a", "b")
	before := c.shares(c.all["a"], map[string]int{"a": 12, "b": 12})
	w := newCrowd(t, c, crowdSize)
	w.served(w.people, time.Now())

	kafkatest.DeleteTopic(t, cfg, kafkalog.ClusterTopic(cfg.Namespace))
	command(t, append([]string{"topics", "create", "--replication", "1", "--min-insync", "1"}, logFlags(cfg)...)...)
	for _, m := range c.except() {
		eventually(t, m.name+" says that the topic is another one", func() bool {
			return strings.Contains(get(t, m.admin+"/readyz"), kafkalog.ErrReplaced.Error())
		})
		if m.metrics(t).of(t, "godwit_cluster_alarm") != 1 {
			t.Errorf("%s does not raise the alarm in its metrics", m.name)
		}
		_, refused := m.post(t, cluster.Request{Kind: cluster.KindDrain, Node: "b"})
		if refused == nil || refused.Status != http.StatusServiceUnavailable || !strings.Contains(refused.Message, kafkalog.ErrReplaced.Error()) {
			t.Errorf("%s answers a request with %+v", m.name, refused)
		}
	}
	w.served(w.people, time.Now())
	for _, m := range c.except() {
		if after := m.status(t); after.MapVersion < before.MapVersion || !slices.Equal(owners(after), owners(before)) || !resting(after) {
			t.Errorf("%s has version %d of the map, with %v", m.name, after.MapVersion, ownedBy(after))
		}
	}
	w.settle()
	w.onlyMoved()
}
