package bench

import (
	"crypto/rand"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/tools/processtest"
)

// partitions is the number of partitions of most benchmarks: so few that each has
// users enough for groups of 64.
const partitions = 16

// server is a node under test.
type server struct {
	*process
	addr  string // where clients connect, host:port
	admin string // the URL of the admin port
	log   kafka.Config
}

// key is the secret that all nodes here verify tokens with.
var key = func() []byte {
	secret := make([]byte, 32)
	rand.Read(secret)
	return secret
}()

// serve starts a node on a log, with more flags, and returns when it is ready. Its
// settings are the defaults but that clients may send as fast as they like.
func serve(tb testing.TB, log kafka.Config, flags ...string) *server {
	tb.Helper()
	return serveWith(tb, nil, log, flags...)
}

// serveWith is serve with more variables of the environment, such as GOMAXPROCS=1.
func serveWith(tb testing.TB, env []string, log kafka.Config, flags ...string) *server {
	tb.Helper()
	s := &server{log: log}
	keyFile := filepath.Join(tb.TempDir(), "key")
	if err := os.WriteFile(keyFile, key, 0o600); err != nil {
		tb.Fatal(err)
	}
	s.process = launch(tb, env, build(tb, "godwit", root, "./tools/godwit"), slices.Concat([]string{
		"serve", "--listen", "127.0.0.1:0", "--token-key-file", keyFile, "--limits-sends-per-second", "0",
	}, logFlags(log), flags)...)
	eventually(tb, "the node serves", func() bool {
		if s.Ended() {
			tb.Fatalf("the node ended instead of serving:\n%s", processtest.Tail(s.Stderr.String()))
		}
		return s.logged() && s.ready()
	})
	return s
}

// logFlags are the flags of any process that works on a log.
func logFlags(log kafka.Config) []string {
	return []string{
		"--admin", "127.0.0.1:0", "--unsafe", "--log-format", "json",
		"--kafka-brokers", strings.Join(log.Brokers, ","),
		"--kafka-namespace", log.Namespace,
		"--kafka-generation", strconv.Itoa(int(log.Generation)),
		"--kafka-partitions", strconv.Itoa(int(log.Partitions)),
	}
}

// logged looks for the addresses in the node's log.
func (s *server) logged() bool {
	if s.admin != "" {
		return true
	}
	l, ok := s.Logged("serving")
	s.addr, s.admin = strings.TrimSuffix(strings.TrimPrefix(l.URL, "ws://"), "/v1/connect"), l.Admin
	return ok
}

// adminClient asks admin ports. It keeps no connections.
var adminClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}

func (s *server) ready() bool {
	r, err := adminClient.Get(s.admin + "/readyz")
	if err != nil {
		return false
	}
	r.Body.Close()
	return r.StatusCode == http.StatusOK
}

func (s *server) get(tb testing.TB, path string) string {
	tb.Helper()
	r, err := adminClient.Get(s.admin + path)
	if err != nil {
		tb.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		tb.Fatalf("%s: %s, %v", path, r.Status, err)
	}
	return string(body)
}

// metrics are samples of /metrics, by name with labels as they are written there.
type metrics map[string]float64

func (s *server) metrics(tb testing.TB) metrics {
	tb.Helper()
	m := metrics{}
	for line := range strings.Lines(s.get(tb, "/metrics")) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		line = strings.TrimSpace(line)
		at := strings.LastIndexByte(line, ' ')
		if at < 0 {
			continue
		}
		v, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			tb.Fatalf("/metrics: %q: %v", line, err)
		}
		m[line[:at]] = v
	}
	return m
}

func (m metrics) value(tb testing.TB, name string) float64 {
	tb.Helper()
	v, ok := m[name]
	if !ok {
		tb.Fatalf("/metrics has no %s", name)
	}
	return v
}

// memory is what a node holds.
type memory struct {
	rss     int64 // before a collection was asked for
	heap    float64
	objects float64
}

// memory reads the node's memory: the resident one as it is, with the garbage that its
// settings allow, then the heap after a collection. Two collections, because what a
// sync.Pool holds goes with the second.
func (s *server) memory(tb testing.TB) memory {
	tb.Helper()
	m := memory{rss: rss(tb, s.Pid())}
	for range 2 {
		s.get(tb, "/debug/pprof/heap?gc=1")
	}
	now := s.metrics(tb)
	m.heap = now.value(tb, "go_memstats_heap_alloc_bytes")
	m.objects = now.value(tb, "go_memstats_heap_objects")
	return m
}

// cpu returns the CPU time that the node has taken.
func (s *server) cpu(tb testing.TB) time.Duration { tb.Helper(); return cpu(tb, s.Pid()) }

// eventually waits until cond is true.
func eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	deadline := time.Now().Add(patience)
	for !cond() {
		if time.Now().After(deadline) {
			tb.Fatalf("not so after %v: %s", patience, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
