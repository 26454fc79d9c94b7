package e2e

import (
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/server/auth"
)

// node is a server under test.
type node struct {
	process
	url   string // where clients connect
	admin string // the address of the admin port
	key   *key
	n     int32 // partitions
}

// newLog returns the configuration of a messages topic of this test alone. On Apache
// Kafka godwit makes the topic itself; the embedded broker comes with one.
func newLog(t testing.TB, b kafkatest.Backend, partitions int32) kafka.Config {
	t.Helper()
	cfg := b.Config(t, partitions)
	if b.LogAppendTime {
		createTopic(t, &cfg)
	}
	return cfg
}

// createTopic has godwit make the topic of cfg, under a namespace of its own.
func createTopic(t testing.TB, cfg *kafka.Config) {
	t.Helper()
	cfg.Namespace += "-e2e"
	command(t, append([]string{"topics", "create", "--replication", "1", "--min-insync", "1"}, logFlags(*cfg)...)...)
}

func logFlags(cfg kafka.Config) []string {
	return []string{
		"--kafka-brokers", strings.Join(cfg.Brokers, ","),
		"--kafka-namespace", cfg.Namespace,
		"--kafka-generation", strconv.Itoa(int(cfg.Generation)),
		"--kafka-partitions", strconv.Itoa(int(cfg.Partitions)),
	}
}

// serve starts godwit serve on the log of cfg, with more flags, and returns when it
// is ready.
func serve(t testing.TB, cfg kafka.Config, k *key, flags ...string) *node {
	t.Helper()
	n := begin(t, cfg, k, flags...)
	n.serves(t)
	return n
}

// begin starts godwit serve and does not wait for it.
func begin(t testing.TB, cfg kafka.Config, k *key, flags ...string) *node {
	t.Helper()
	args := append([]string{
		"serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--unsafe", "--log-format", "json",
		"--token-algorithm", string(k.algorithm), "--token-key-file", k.file,
	}, logFlags(cfg)...)
	return &node{process: launch(t, append(args, flags...)...), key: k, n: cfg.Partitions}
}

// serves waits until a node that was begun is ready.
func (n *node) serves(t testing.TB) {
	t.Helper()
	n.await(t, func() bool {
		l, ok := n.Logged("serving")
		n.url, n.admin = l.URL, l.Admin
		return ok
	})
}

// embeddedPartitions is how many partitions godwit dev has.
const embeddedPartitions = 64

var (
	devURL   = regexp.MustCompile(`(?m)^ *clients +(ws://\S+)`)
	devAdmin = regexp.MustCompile(`(?m)^ *admin +(http://\S+)`)
)

// dev starts godwit dev on a data folder and returns when it is ready.
func dev(t testing.TB, data string) *node {
	t.Helper()
	n := &node{
		process: launch(t, "dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", data),
		n:       embeddedPartitions,
	}
	n.await(t, func() bool {
		url, admin := devURL.FindStringSubmatch(n.Stdout.String()), devAdmin.FindStringSubmatch(n.Stdout.String())
		if url != nil && admin != nil {
			n.url, n.admin = url[1], admin[1]
		}
		return admin != nil
	})
	n.key = readKey(t, auth.HS256, filepath.Join(data, "dev.key"))
	return n
}

// await waits until started is true and the node says that it is ready.
func (n *node) await(t testing.TB, started func() bool) {
	t.Helper()
	alive := func() {
		if n.Ended() {
			t.Fatalf("the node ended instead of serving:\n%s", n.Stderr.String())
		}
	}
	eventually(t, "the node has started", func() bool { alive(); return started() })
	eventually(t, "the node is ready", func() bool { alive(); return n.ready() })
}

func (n *node) ready() bool {
	r, err := adminClient.Get(n.admin + "/readyz")
	if err != nil {
		return false
	}
	r.Body.Close()
	return r.StatusCode == http.StatusOK
}

// adminClient asks admin ports. It keeps no connections, which would be goroutines.
var adminClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}

// get returns the body of an address.
func get(t testing.TB, url string) string {
	t.Helper()
	r, err := adminClient.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s", url, r.Status, body)
	}
	return string(body)
}

// token returns a token for user that is good for longer than any test.
func (n *node) token(t testing.TB, user string) string {
	t.Helper()
	return n.key.token(t, user, tokenTTL)
}

// stop stops the node in order and requires that it ends well.
func (n *node) stop(t testing.TB) {
	t.Helper()
	n.terminate(t)
	if code := n.wait(t); code != 0 {
		t.Errorf("exit status %d after SIGTERM", code)
	}
}
