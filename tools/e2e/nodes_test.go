package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
	"github.com/godwit-im/godwit/server/auth"
	"github.com/godwit-im/godwit/tools/processtest"
)

// TestTwoNodes runs two nodes of one map on one log: each serves its own users, sends
// others to where they belong, and messages pass between them.
func TestTwoNodes(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := newLog(t, b, 8)
		k := newKey(t, auth.HS256)
		ports := processtest.FreePorts(t, 2)
		file := filepath.Join(t.TempDir(), "godwit.yaml")
		settings := fmt.Sprintf(`map_version: 7
map:
  - node: east
    url: ws://127.0.0.1:%d
    partitions: 0-3
  - node: west
    url: ws://127.0.0.1:%d
    partitions: 4-7
`, ports[0], ports[1])
		if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
			t.Fatal(err)
		}
		nodes := make([]*node, 2)
		for i, name := range []string{"east", "west"} {
			nodes[i] = serve(t, cfg, k, append(append(noRate, roomy...), "--config", file, "--node", name, "--listen", fmt.Sprint("127.0.0.1:", ports[i]))...)
		}
		// Two users of each node.
		users := make([][]string, 2)
		for i := 0; len(users[0]) < 2 || len(users[1]) < 2; i++ {
			user := fmt.Sprint("user-", i)
			home := int(backplane.PartitionOf(user, cfg.Partitions)) / 4
			if len(users[home]) < 2 {
				users[home] = append(users[home], user)
			}
		}

		for i, at := range nodes {
			stranger := users[1-i][0]
			redirected(t, at, nodes[1-i], stranger)
			for _, n := range nodes {
				route(t, n, users[i][0], at)
			}
		}

		const count = 300
		var devices []*device
		for i, n := range nodes {
			for j, user := range users[i] {
				devices = append(devices, connect(t, n, user, options{device: "d", encoding: codec.Encoding(j)}))
				if devices[len(devices)-1].welcome.MapVersion != 7 {
					t.Errorf("%s was welcomed with map version %d, want 7", user, devices[len(devices)-1].welcome.MapVersion)
				}
			}
		}
		// Everyone to the three others.
		for i, d := range devices {
			var to []string
			for j, other := range devices {
				if j != i {
					to = append(to, other.user)
				}
			}
			d.flood(1, count, 50, func(m int) (string, []string) { return fmt.Sprint(d.user, " ", m), to })
		}
		for _, d := range devices {
			d.got(count * len(devices))
		}
		for _, n := range nodes {
			n.conserved(t)
		}
		for _, d := range devices {
			if d.count() != count*len(devices) {
				t.Errorf("%s got %d messages, want %d", d.timeline.name, d.count(), count*len(devices))
			}
		}
		for _, n := range nodes {
			n.stop(t)
		}
	})
}

// redirected has a user connect to a node that does not serve it.
func redirected(t *testing.T, wrong, right *node, user string) {
	t.Helper()
	_, err := dial(wrong.url, wrong.token(t, user), options{})
	status := (*ws.StatusError)(nil)
	if !errors.As(err, &status) || status.Status != http.StatusMisdirectedRequest || status.Header("Godwit-Node-Url") != right.url {
		t.Fatalf("%s at the wrong node: %v", user, err)
	}
	connect(t, right, user, options{}).ping()

	// A browser does not show the answer to the page, so it is told on a connection.
	for _, e := range []codec.Encoding{codec.JSON, codec.Proto} {
		o := options{encoding: e, header: [][2]string{{"Origin", "https://chat.example"}}}
		s, err := dial(wrong.url, wrong.token(t, user), o)
		if err != nil {
			t.Fatal(err)
		}
		d := newDevice(t, wrong, user, o, s)
		d.listen()
		if code := d.ended(); code != uint16(codec.CloseNotOwner) || d.lastError() != codec.CodeNotOwner {
			t.Errorf("%s was told %q and close code %d", user, d.lastError(), code)
		}
		if len(d.moved) != 1 || d.moved[0].URL != right.url || d.moved[0].MapVersion != 7 {
			t.Errorf("%s was told to move to %+v, want %s", user, d.moved, right.url)
		}
	}
}

// route asks a node where a user belongs.
func route(t *testing.T, n *node, user string, home *node) {
	t.Helper()
	var r struct {
		User, URL string
		Version   int `json:"map_version"`
	}
	u := strings.Replace(strings.TrimSuffix(n.url, "/v1/connect"), "ws:", "http:", 1) + "/v1/route?user=" + url.QueryEscape(user)
	if err := json.Unmarshal([]byte(get(t, u)), &r); err != nil {
		t.Fatal(err)
	}
	if r.User != user || r.URL != home.url || r.Version != 7 {
		t.Errorf("the route of %s is %+v, want %s", user, r, home.url)
	}
}
