package world

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/tools/verify/proxy"
)

const patience = 2 * time.Minute

// TestWorld has a world of two nodes and one broker, does to it what can be done, and
// leaves nothing.
func TestWorld(t *testing.T) {
	kafkatest.Need(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	w, err := Start(ctx, Config{Binary: binary, Root: root, Folder: filepath.Join(t.TempDir(), "world"), Nodes: 2, Brokers: 1, Partitions: 16})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if got := w.Processes(); !slices.Equal(got, []string{"kafka1", "n1", "n2"}) {
		t.Fatalf("the processes are %v", got)
	}
	pids := pidsOf(t, w)
	if status := upgrade(t, w, "n1"); status != http.StatusSwitchingProtocols && status != http.StatusMisdirectedRequest {
		t.Fatalf("a client that connects to n1 gets status %d", status)
	}

	// A node that is killed loses its partitions, and gets its share when it is back.
	evidence, err := w.Kill("n1")
	if err != nil || gone(pids["n1"]) != nil {
		t.Fatalf("%s: %v, %v", evidence, err, gone(pids["n1"]))
	}
	t.Log(evidence)
	if _, err := w.Kill("n1"); err != nil {
		t.Errorf("killed once more: %v", err)
	}
	if status := upgrade(t, w, "n1"); status != 0 {
		t.Errorf("a client that connects to a dead node gets status %d", status)
	}
	await(t, ctx, w, "n2 owns all", func(s *Status) bool { return s.of("n2").Owner == 16 })
	if err := w.Start(ctx, "n1"); err != nil {
		t.Fatal(err)
	}
	shown(t)(w.Activate(ctx, "n1"))

	// One that is paused too.
	shown(t)(w.Pause(ctx, "n2"))
	await(t, ctx, w, "n1 owns all", func(s *Status) bool { return s.of("n1").Owner == 16 })
	if controller := shown(t)(w.Controller(ctx)); controller != "n1" {
		t.Errorf("the controller is %s while n2 is paused", controller)
	}
	if err := w.Resume("n2"); err != nil {
		t.Fatal(err)
	}
	shown(t)(w.Activate(ctx, "n2"))

	// What operators do.
	shown(t)(w.Move(ctx, "n1", 3))
	shown(t)(w.Drain(ctx, "n1"))
	shown(t)(w.Activate(ctx, "n1"))
	if evidence := shown(t)(w.Stop(ctx, "n2")); !strings.Contains(evidence, "exit status 0") {
		t.Error("it has not ended well")
	}

	// Heal has everything back.
	shown(t)(w.Pause(ctx, "n1"))
	shown(t)(w.Kill("kafka1"))
	for _, way := range []Way{KafkaWay, ClientsWay} {
		if err := w.Treat("n1", way, proxy.Treatment{Mode: proxy.Hang}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Heal(ctx); err != nil {
		t.Fatal(err)
	}
	if s := await(t, ctx, w, "both have a share", func(s *Status) bool { return s.of("n1").Owner == 8 && s.of("n2").Owner == 8 }); s.Degraded {
		t.Errorf("%+v", s)
	}

	// A node that is cut off from Kafka finds out.
	if err := w.Treat("n2", KafkaWay, proxy.Treatment{Mode: proxy.Cut}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if s, err := w.Status(ctx, "n2"); err == nil && s.Degraded {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("n2 does not find that it is cut off")
		}
	}
	if c, err := w.Counts("n2", KafkaWay); err != nil || c.Reset == 0 || c.Refused == 0 {
		t.Errorf("the counts are %+v, %v", c, err)
	}
	if c, err := w.Counts("n1", KafkaWay); err != nil || c.Reset != 0 || c.Open == 0 {
		t.Errorf("those of the other are %+v, %v", c, err)
	}

	// A process that ends by itself is told of.
	if got := w.Fallen(); len(got) != 0 {
		t.Errorf("%v have ended", got)
	}
	p, err := w.members["n1"].process()
	if err != nil {
		t.Fatal(err)
	}
	p.Kill()
	if got := w.Fallen(); len(got) != 1 || !slices.Equal(got["n1"], []string{"signal: killed"}) {
		t.Errorf("%v have ended", got)
	}
	if _, err := w.Kill("n1"); err == nil {
		t.Error("what ended by itself was killed")
	}

	for name, pid := range pidsOf(t, w) {
		pids[name+", later"] = pid
	}
	w.Close()
	for name, pid := range pids {
		if err := gone(pid); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// shown requires that something was done, and logs the evidence.
func shown(t *testing.T) func(evidence string, err error) string {
	return func(evidence string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Log(evidence)
		return evidence
	}
}

// await waits until the cluster is as it should be.
func await(t *testing.T, ctx context.Context, w *World, what string, cond func(*Status) bool) (last *Status) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := w.settle(ctx, what, func(s *Status) (bool, error) { last = s; return cond(s), nil }); err != nil {
		t.Fatal(err)
	}
	return last
}

// pidsOf returns the ids of all processes.
func pidsOf(t *testing.T, w *World) map[string]int {
	t.Helper()
	pids := make(map[string]int)
	for name, m := range w.members {
		p, err := m.process()
		if err != nil {
			t.Fatal(err)
		}
		pids[name] = p.Pid()
	}
	return pids
}

// gone returns an error if a process runs.
func gone(pid int) error {
	if _, err := os.Stat("/proc/" + strconv.Itoa(pid)); !errors.Is(err, os.ErrNotExist) {
		return errors.New("the process is still there")
	}
	return nil
}

// upgrade connects to a node as a client does and returns the status of the answer, 0 if
// there is none.
func upgrade(t *testing.T, w *World, node string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.Replace(w.URL(node), "ws:", "http:", 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "godwit.v1.json",
		"Authorization": "Bearer " + w.Token("alice", time.Minute),
	} {
		r.Header.Set(name, value)
	}
	answer, err := client.Do(r)
	if err != nil {
		return 0
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

func TestConfig(t *testing.T) {
	good := Config{Binary: "/godwit", Root: "/root", Folder: "/folder", Nodes: 3, Brokers: 3, Partitions: 64}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	good.Nodes, good.Pebble = 1, true
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	good.Nodes, good.Pebble = 3, false
	good.Nodes, good.Pebble, good.DiskBytes = 1, true, MinDiskBytes
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	good.Nodes, good.Pebble, good.DiskBytes = 3, false, 0
	for name, spoil := range map[string]func(*Config){
		"DiskBytes":  func(c *Config) { c.Nodes, c.Pebble, c.DiskBytes = 1, true, 1 },
		"Pebble":     func(c *Config) { c.Pebble = true },
		"Binary":     func(c *Config) { c.Binary = "godwit" },
		"Root":       func(c *Config) { c.Root = "" },
		"Folder":     func(c *Config) { c.Folder = "here" },
		"Nodes":      func(c *Config) { c.Nodes = 0 },
		"Brokers":    func(c *Config) { c.Brokers = 2 },
		"Partitions": func(c *Config) { c.Partitions = 2 },
	} {
		c := good
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), name+" is ") {
			t.Errorf("with a bad %s: %v", name, err)
		}
		if _, err := Start(t.Context(), c); err == nil {
			t.Errorf("a world was started with a bad %s", name)
		}
	}
}

// TestStartFails starts worlds that lack something: TestMain finds what is left of them.
func TestStartFails(t *testing.T) {
	c := Config{Binary: binary, Root: t.TempDir(), Folder: filepath.Join(t.TempDir(), "world"), Nodes: 3, Brokers: 3, Partitions: 8, History: true}
	if w, err := Start(t.Context(), c); w != nil || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without the scripts: %v", err)
	}
	if w, err := Start(t.Context(), c); w != nil || err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("in the folder of another: %v", err)
	}
	file := filepath.Join(c.Root, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.Folder = filepath.Join(file, "world")
	if w, err := Start(t.Context(), c); w != nil || err == nil {
		t.Error("a world is below a file")
	}
}

func TestOwners(t *testing.T) {
	s := &Status{Partitions: []ShareStatus{
		{Partitions: "0-1,4", Owner: "a"},
		{Partitions: "2", Owner: "b", Next: "a"},
		{Partitions: "3", Owner: "b", Previous: "a"},
	}}
	owners, resting := s.owners(6)
	if !slices.Equal(owners, []string{"a", "a", "b", "b", "a", ""}) || !slices.Equal(resting, []bool{true, true, false, false, true, false}) {
		t.Errorf("%v, %v", owners, resting)
	}
}
