package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/beats"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/server/admin"
	"github.com/godwit-im/godwit/server/auth"
	"github.com/godwit-im/godwit/tools/processtest"
)

// nodes are the processes of a cluster under test.
type nodes struct {
	t   testing.TB
	cfg kafka.Config
	key *key
	all map[string]*member // by the name of the node
}

// member is a node of a cluster: the process that runs under its name at present, at an
// address that stays.
type member struct {
	*node
	name   string
	listen string
	log    kafka.Config // as this node reaches it
	flags  []string
	began  time.Time // when the process was started
}

// standbyFlags make a new node a standby.
var standbyFlags = []string{"--cluster-role", "standby"}

// newCluster starts active nodes and returns when all serve.
func newCluster(t testing.TB, cfg kafka.Config, names ...string) *nodes {
	t.Helper()
	c := &nodes{t: t, cfg: cfg, key: newKey(t, auth.HS256), all: make(map[string]*member)}
	for _, name := range names {
		c.add(name)
	}
	c.start(names...)
	return c
}

// add makes a node known that is to be started.
func (c *nodes) add(name string, flags ...string) *member {
	c.t.Helper()
	m := &member{name: name, listen: fmt.Sprint("127.0.0.1:", processtest.FreePorts(c.t, 1)[0]), log: c.cfg, flags: flags}
	c.all[name] = m
	return m
}

// start starts nodes, for the first time or again, and returns when all serve.
func (c *nodes) start(names ...string) {
	c.t.Helper()
	for _, name := range names {
		m := c.all[name]
		m.began = time.Now()
		// With a heartbeat of two seconds, clients find out soon that a node has stopped to
		// answer.
		m.node = begin(c.t, m.log, c.key, append([]string{
			"--cluster-enabled", "--node", name, "--listen", m.listen,
			"--limits-sends-per-second", "0", "--limits-heartbeat", "2s",
		}, m.flags...)...)
	}
	for _, name := range names {
		c.all[name].serves(c.t)
	}
}

// urls returns where the clients of all nodes connect.
func (c *nodes) urls() (urls []string) {
	for _, m := range c.all {
		urls = append(urls, "ws://"+m.listen)
	}
	return urls
}

// status returns the cluster as a node sees it.
func (m *member) status(t testing.TB) *admin.ClusterStatus {
	t.Helper()
	s := new(admin.ClusterStatus)
	if err := json.Unmarshal([]byte(get(t, m.admin+"/v1/cluster")), s); err != nil {
		t.Fatal(err)
	}
	return s
}

// nodeOf returns what a status says of a node; it must be there.
func nodeOf(t testing.TB, s *admin.ClusterStatus, name string) admin.ClusterNode {
	t.Helper()
	i := slices.IndexFunc(s.Nodes, func(n admin.ClusterNode) bool { return n.ID == name })
	if i < 0 {
		t.Fatalf("%s does not know %s", s.Node, name)
	}
	return s.Nodes[i]
}

// owners returns who owns each partition.
func owners(s *admin.ClusterStatus) []string {
	list := make([]string, s.Settings.Partitions)
	for _, share := range s.Partitions {
		for _, r := range share.Partitions {
			for p := r.First; p <= r.Last; p++ {
				list[p] = share.Owner
			}
		}
	}
	return list
}

// ownedBy returns how many partitions each node owns.
func ownedBy(s *admin.ClusterStatus) map[string]int {
	count := make(map[string]int)
	for _, owner := range owners(s) {
		count[owner]++
	}
	return count
}

// resting reports whether no partition is on its way anywhere, and every one has an owner.
func resting(s *admin.ClusterStatus) bool {
	return !slices.ContainsFunc(s.Partitions, func(p admin.ClusterShare) bool {
		return p.Owner == "" || p.Next != "" || p.Previous != ""
	})
}

// shares waits until the partitions rest and nodes own so many of them, as observer sees
// it, and returns what it sees.
func (c *nodes) shares(observer *member, want map[string]int) *admin.ClusterStatus {
	c.t.Helper()
	var s *admin.ClusterStatus
	deadline := time.Now().Add(patience)
	for {
		if s = observer.status(c.t); resting(s) && maps.Equal(ownedBy(s), want) {
			return s
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("after %v the nodes own %v, want %v; the partitions: %+v", patience, ownedBy(s), want, s.Partitions)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// controller returns the one of some nodes that decides, as all of them say and the beats
// do.
func (c *nodes) controller(asked ...*member) *member {
	c.t.Helper()
	var found string
	eventually(c.t, "one node is the controller", func() bool {
		found = ""
		for _, m := range asked {
			s := m.status(c.t)
			if s.Controller == nil || found != "" && s.Controller.Node != found {
				return false
			}
			found = s.Controller.Node
			for _, n := range s.Nodes {
				if flag := n.Beat != nil && n.Beat.Controller && !n.Suspected; flag != (n.ID == found) {
					return false
				}
			}
		}
		return slices.Contains(asked, c.all[found])
	})
	return c.all[found]
}

// attentive waits until nodes have listened to the others for so long that they suspect
// one as soon as it is silent.
func (c *nodes) attentive(listening ...*member) {
	c.t.Helper()
	for _, m := range listening {
		from := m.began.UnixMilli()
		eventually(c.t, m.name+" has listened for a while", func() bool {
			latest := int64(0)
			for _, n := range m.status(c.t).Nodes {
				if n.Beat != nil {
					latest = max(latest, n.Beat.Time)
				}
			}
			return latest-from > beats.Quiet+1000
		})
	}
}

// except returns nodes other than some, in the order of their names.
func (c *nodes) except(some ...*member) (others []*member) {
	for _, name := range slices.Sorted(maps.Keys(c.all)) {
		if !slices.Contains(some, c.all[name]) {
			others = append(others, c.all[name])
		}
	}
	return others
}

// pause stops the threads of a node; its connections stay open.
func (m *member) pause(t testing.TB) {
	t.Helper()
	m.Signal(t, syscall.SIGSTOP)
	t.Cleanup(func() { _ = syscall.Kill(m.Pid(), syscall.SIGCONT) }) // so that it can be killed in order
}

// resume lets a node go on that was paused.
func (m *member) resume(t testing.TB) {
	t.Helper()
	m.Signal(t, syscall.SIGCONT)
}

// refusal is the answer to a request that is not granted.
type refusal struct {
	Status        int
	Code, Message string
}

// post makes a request of an operator at a node.
func (m *member) post(t testing.TB, r cluster.Request) (*admin.ClusterAnswer, *refusal) {
	t.Helper()
	body, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return m.postText(t, body)
}

func (m *member) postText(t testing.TB, body []byte) (*admin.ClusterAnswer, *refusal) {
	t.Helper()
	response, err := adminClient.Post(m.admin+"/v1/cluster/requests", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	answer, refused := new(admin.ClusterAnswer), &refusal{Status: response.StatusCode}
	if response.StatusCode == http.StatusOK {
		if err := json.Unmarshal(text, answer); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return answer, nil
	}
	if err := json.Unmarshal(text, refused); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return nil, refused
}

// granted makes a request that must be granted.
func (m *member) granted(t testing.TB, r cluster.Request) *admin.ClusterAnswer {
	t.Helper()
	answer, refused := m.post(t, r)
	if refused != nil {
		t.Fatalf("%+v is refused: %+v", r, refused)
	}
	return answer
}

// admit makes a node active that has come back, as soon as the controller has heard it.
func (m *member) admit(t testing.TB, name string) {
	t.Helper()
	eventually(t, name+" is active", func() bool {
		_, refused := m.post(t, cluster.Request{Kind: cluster.KindAdd, Node: name})
		if refused != nil && refused.Code != string(cluster.CodeSuspected) {
			t.Fatalf("to add %s is refused: %+v", name, refused)
		}
		return refused == nil
	})
}

// since formats a time that has passed since a moment, for logs.
func since(at time.Time) time.Duration { return time.Since(at).Round(10 * time.Millisecond) }
