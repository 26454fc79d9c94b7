package foreign

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/tools/processtest"
)

// node is a server under test: godwit dev, or one of several nodes on a log.
type node struct {
	*processtest.Process
	url   string // where clients connect
	admin string // the address of the admin port
}

var (
	devURL   = regexp.MustCompile(`(?m)^ *clients +(ws://\S+)`)
	devAdmin = regexp.MustCompile(`(?m)^ *admin +(http://\S+)`)
)

// dev starts godwit dev on free ports and a new data folder, and returns when it is
// ready.
func dev(t testing.TB) *node {
	t.Helper()
	return devAt(t, "127.0.0.1:0", "127.0.0.1:0", t.TempDir())
}

func devAt(t testing.TB, listen, admin, data string) *node {
	t.Helper()
	n := &node{Process: processtest.Start(t, exec.Command(godwit, "dev", "--listen", listen, "--admin", admin, "--data", data))}
	n.await(t, func() bool {
		url, admin := devURL.FindStringSubmatch(n.Stdout.String()), devAdmin.FindStringSubmatch(n.Stdout.String())
		if url != nil && admin != nil {
			n.url, n.admin = url[1], admin[1]
		}
		return admin != nil
	})
	return n
}

// await waits until started is true and the node says that it is ready.
func (n *node) await(t testing.TB, started func() bool) {
	t.Helper()
	eventually(t, "the node is ready", func() bool {
		if n.Ended() {
			t.Fatalf("the node ended instead of serving:\n%s", n.Stderr.String())
		}
		return started() && n.ready()
	})
}

func (n *node) ready() bool {
	r, err := httpClient.Get(n.admin + "/readyz")
	if err != nil {
		return false
	}
	r.Body.Close()
	return r.StatusCode == http.StatusOK
}

// httpClient asks admin ports. It keeps no connections, which would be goroutines.
var httpClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}

func (n *node) get(t testing.TB, path string) string {
	t.Helper()
	r, err := httpClient.Get(n.admin + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s", path, r.Status, body)
	}
	return string(body)
}

// token has godwit dev sign a token.
func (n *node) token(t testing.TB, user string, ttl time.Duration) string {
	t.Helper()
	query := url.Values{"user": {user}, "ttl": {ttl.String()}}
	var answer struct{ Token string }
	if err := json.Unmarshal([]byte(n.get(t, "/dev/token?"+query.Encode())), &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Token
}

// post sends a message by the HTTP API for backends and requires that it is stored.
func (n *node) post(t testing.TB, from, to, id, body string) {
	t.Helper()
	request, err := json.Marshal(map[string]any{"id": id, "from": from, "to": []string{to}, "body": body})
	if err != nil {
		t.Fatal(err)
	}
	r, err := httpClient.Post(n.admin+"/v1/messages", "application/json", strings.NewReader(string(request)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	answer, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != http.StatusOK || !strings.Contains(string(answer), `"stored"`) {
		t.Fatalf("POST /v1/messages: %s: %s", r.Status, answer)
	}
}

// metric returns the sum of the series of a metric whose labels contain all of some
// text, such as reason="outbox_full".
func (n *node) metric(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	var sum float64
series:
	for line := range strings.Lines(n.get(t, "/metrics")) {
		series, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || series != name && !strings.HasPrefix(series, name+"{") {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(series, label) {
				continue series
			}
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("metric %s: %v", line, err)
		}
		sum += v
	}
	return sum
}
