package foreign

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/server/auth"
	"github.com/godwit-im/godwit/tools/processtest"
)

// TestBrowserBadToken: a page cannot see an HTTP status. It learns by a frame and by
// the close code why it is not let in.
func TestBrowserBadToken(t *testing.T) {
	n := dev(t)
	p := browse(t, n.admin+"/healthz")
	refused := func(e ended, code string, close int) {
		t.Helper()
		if len(e.Frames) != 1 || e.Frames[0].Type != "error" || e.Frames[0].Code != code || e.Frames[0].Message == "" {
			t.Errorf("the page gets %+v, want an error %s", e.Frames, code)
		}
		if e.Protocol != "godwit.v1.json" || e.Code != close || e.Reason == "" || !e.Clean {
			t.Errorf("the connection ended so: %+v, want %d with a reason", e, close)
		}
	}

	refused(p.socket(n.url, "godwit.v1.json"), "unauthorized", 4001)
	refused(p.socket(n.url, "godwit.v1.json", "bearer.bad"), "unauthorized", 4001)
	refused(p.socket(n.url+"?token=bad", "godwit.v1.json"), "unauthorized", 4001)
	good := "bearer." + n.token(t, "alice", time.Hour)
	refused(p.socket(n.url+"?start=last:0", "godwit.v1.json", good), "bad_parameter", 4000)
	refused(p.socket(n.url+"?cursor=AQEB", "godwit.v1.json", good), "bad_cursor", 4000)

	t.Log("a token that expires")
	token := n.token(t, "alice", time.Second)
	e := p.socket(n.url, "godwit.v1.json", "bearer."+token)
	if len(e.Frames) > 0 && e.Frames[0].Type == "welcome" { // else it expired on the way
		e.Frames = e.Frames[1:]
	}
	refused(e, "token_expired", 4102)
	refused(p.socket(n.url, "godwit.v1.json", "bearer."+token), "token_expired", 4102)
}

// twoNodes starts two nodes on one log. Either owns half of its partitions.
func twoNodes(t *testing.T) (nodes [2]*node, key *auth.DevKey, partitions int32) {
	t.Helper()
	partitions = 8
	log := kafkatest.Embedded(t, partitions)
	dir := t.TempDir()
	key, err := auth.OpenDevKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	ports := processtest.FreePorts(t, 4)
	settings := fmt.Sprintf(`
kafka: {brokers: [%q], namespace: %q, generation: %d, partitions: %d}
token: {key_file: %q}
unsafe: true
map:
  - {node: n1, url: "ws://127.0.0.1:%d/v1/connect", partitions: 0-3}
  - {node: n2, url: "ws://127.0.0.1:%d/v1/connect", partitions: 4-7}
`, log.Brokers[0], log.Namespace, log.Generation, partitions, key.File(), ports[0], ports[1])
	file := filepath.Join(dir, "godwit.yaml")
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range nodes {
		nodes[i] = &node{
			Process: processtest.Start(t, exec.Command(godwit, "serve", "--config", file, "--node", fmt.Sprintf("n%d", i+1),
				"--listen", fmt.Sprintf("127.0.0.1:%d", ports[i]), "--admin", fmt.Sprintf("127.0.0.1:%d", ports[2+i]))),
			url:   fmt.Sprintf("ws://127.0.0.1:%d/v1/connect", ports[i]),
			admin: fmt.Sprintf("http://127.0.0.1:%d", ports[2+i]),
		}
	}
	for _, n := range nodes {
		n.await(t, func() bool { return true })
	}
	return nodes, key, partitions
}

// TestBrowserWrongNode connects to the node that does not serve the user, and goes
// where it says.
func TestBrowserWrongNode(t *testing.T) {
	nodes, key, partitions := twoNodes(t)
	user := "user-0"
	for i := 1; backplane.PartitionOf(user, partitions) < 4; i++ {
		user = fmt.Sprintf("user-%d", i)
	}
	token, err := key.Sign(user, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p := browse(t, nodes[0].admin+"/healthz")

	t.Log("the node that does not serve the user")
	e := p.socket(nodes[0].url+"?device=tab", "godwit.v1.json", "bearer."+token)
	if len(e.Frames) != 2 || e.Frames[0].Type != "moved" || e.Frames[1].Type != "error" || e.Frames[1].Code != "not_owner" {
		t.Fatalf("the page gets %+v, want moved and an error not_owner", e.Frames)
	}
	if e.Code != 4201 || e.Reason == "" || !e.Clean {
		t.Errorf("the connection ended so: %+v, want 4201 with a reason", e)
	}
	moved := e.Frames[0]
	if moved.URL != nodes[1].url || moved.Node != "n2" || moved.MapVersion == 0 {
		t.Errorf("moved: %+v, want n2 at %s", moved, nodes[1].url)
	}

	t.Log("the route, asked from a page of another origin")
	route := "http" + strings.TrimPrefix(strings.TrimSuffix(nodes[0].url, "/v1/connect"), "ws") + "/v1/route?user=" + url.QueryEscape(user)
	if got := value[frame](p, fmt.Sprintf("fetch(%q).then((r) => r.json())", route)); got.URL != nodes[1].url || got.Node != "n2" {
		t.Errorf("the route: %+v, want n2 at %s", got, nodes[1].url)
	}

	t.Log("the node that does")
	frames := value[[]frame](p, fmt.Sprintf(`new Promise((resolve) => {
		const socket = new WebSocket(%q, ["godwit.v1.json", %q]);
		const frames = [];
		socket.onopen = () => socket.send(JSON.stringify({type: "ping"}));
		socket.onmessage = ({data}) => {
			frames.push(JSON.parse(data));
			if (frames.at(-1).type === "pong") socket.close(1000);
		};
		socket.onclose = () => resolve(frames);
	})`, moved.URL+"?device=tab", "bearer."+token))
	if len(frames) != 2 || frames[0].Type != "welcome" || frames[0].User != user || frames[0].Node != "n2" || frames[1].Type != "pong" {
		t.Errorf("the page gets %+v, want a welcome of n2 and a pong", frames)
	}
}
