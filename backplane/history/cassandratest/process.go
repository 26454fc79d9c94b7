package cassandratest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/history/cassandra"
	"github.com/godwit-im/godwit/tools/process"
)

const (
	startTimeout = 2 * time.Minute // fetching the jars included
	stopTimeout  = 30 * time.Second
	readyText    = "Startup complete"
)

// Process is a node of Cassandra that belongs to a test. It keeps its address and
// its data when it is stopped or killed and started again.
type Process struct {
	t       testing.TB // the test that it belongs to; nil for the shared one
	addr    string
	data    string
	script  string
	port    int
	storage int

	running *process.Process // nil before it was started
}

// Private starts a node of Cassandra for one test, which may kill it. It is
// killed when the test ends.
func Private(t testing.TB) *Process {
	t.Helper()
	if err := available(); err != nil {
		unavailable(t, err)
	}
	p, err := newProcess(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p.t = t
	t.Cleanup(p.Kill)
	p.Start(t)
	return p
}

// Config returns the configuration of a new and empty keyspace of this node.
func (p *Process) Config(t testing.TB) cassandra.Config {
	t.Helper()
	return newConfig(t, []string{p.addr})
}

// Start starts the node on its data and returns when it serves.
func (p *Process) Start(t testing.TB) {
	t.Helper()
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
}

// Kill kills the node as kill -9 does. It does nothing if the node has ended.
func (p *Process) Kill() { p.end(syscall.SIGKILL) }

// Stop has the node shut down in order and returns when it has.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	if err := p.end(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// Pause stops the node's threads and returns when all have stopped: its connections
// stay open, and nothing answers.
func (p *Process) Pause() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := p.running.Pause(ctx); err != nil {
		p.t.Fatal(err)
	}
}

// Resume lets a node go on that was paused.
func (p *Process) Resume() { _ = p.running.Resume() } // it fails if the node has ended

func newProcess(data string) (*Process, error) {
	root, err := repository()
	if err != nil {
		return nil, err
	}
	ports, err := process.FreePorts(2)
	if err != nil {
		return nil, err
	}
	return &Process{
		addr:    net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0])),
		data:    data,
		script:  filepath.Join(root, "tools", "cassandra", "cassandra.sh"),
		port:    ports[0],
		storage: ports[1],
	}, nil
}

func (p *Process) start() error {
	logName := filepath.Join(p.data, "process.log")
	log, err := os.Create(logName)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.script, "run")
	cmd.Env = append(os.Environ(),
		"CASSANDRA_PORT="+strconv.Itoa(p.port),
		"CASSANDRA_STORAGE_PORT="+strconv.Itoa(p.storage),
		"CASSANDRA_DATA="+p.data,
		"CASSANDRA_HEAP=512m",
		// Most of what a node does in a test is to start, half of it to compile.
		"JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1 "+os.Getenv("JAVA_TOOL_OPTIONS"),
	)
	cmd.Stdout, cmd.Stderr = log, log
	// The node must not outlive a test process that is killed.
	running, err := process.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return fmt.Errorf("cassandratest: %w", err)
	}
	p.running = running

	deadline := time.After(startTimeout)
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		out, err := os.ReadFile(logName)
		if err != nil {
			return err
		}
		if bytes.Contains(out, []byte(readyText)) {
			return nil
		}
		select {
		case <-look.C:
		case <-running.Done():
			return fmt.Errorf("cassandratest: Cassandra ended before it served:\n%s", tail(out))
		case <-deadline:
			p.Kill()
			return fmt.Errorf("cassandratest: Cassandra does not serve after %v:\n%s", startTimeout, tail(out))
		}
	}
}

// end sends a signal to the process, if it runs, and waits for it to end.
func (p *Process) end(signal syscall.Signal) error {
	if p.running == nil || p.running.Ended() {
		return nil
	}
	if err := p.running.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("cassandratest: %w", err)
	}
	select {
	case <-p.running.Done():
		return nil
	case <-time.After(stopTimeout):
		return fmt.Errorf("cassandratest: Cassandra does not end %v after %v", stopTimeout, signal)
	}
}

// sharedProcess is the node that all tests of a process use that do not need one
// of their own.
type sharedProcess struct {
	once    sync.Once
	process *Process
	err     error
}

var shared sharedProcess

// hosts returns the addresses of Cassandra, which it starts if needed.
func (s *sharedProcess) hosts(t testing.TB) []string {
	t.Helper()
	if list := os.Getenv(hostsVariable); list != "" {
		return strings.Split(list, ",")
	}
	if err := available(); err != nil {
		unavailable(t, err)
	}
	s.once.Do(func() {
		data, err := os.MkdirTemp("", "godwit-cassandra-")
		if err != nil {
			s.err = err
			return
		}
		if s.process, s.err = newProcess(data); s.err == nil {
			s.err = s.process.start()
		}
	})
	if s.err != nil {
		t.Fatal(s.err)
	}
	return []string{s.process.addr}
}

func (s *sharedProcess) stop() {
	if s.process != nil {
		s.process.Kill()
		os.RemoveAll(s.process.data)
	}
}

// available returns why this process may not start Cassandra, nil if it may.
func available() error {
	if os.Getenv(requireVariable) == "1" {
		return nil // the script fetches what is missing, or says why it cannot
	}
	if testing.Short() {
		return errors.New("not with -short")
	}
	if _, err := exec.LookPath("java"); err != nil {
		return errors.New("there is no java to run it")
	}
	cache := os.Getenv("GODWIT_CACHE")
	if cache == "" {
		root, err := repository()
		if err != nil {
			return err
		}
		cache = filepath.Join(root, ".cache")
	}
	if _, err := os.Stat(filepath.Join(cache, "cassandra-libs", "complete")); err != nil {
		return errors.New("its jars were not fetched (tools/cassandra/cassandra.sh fetch)")
	}
	return nil
}

func unavailable(t testing.TB, why error) {
	t.Helper()
	t.Skipf("no Cassandra: %v; %s names one, and %s=1 makes this a failure", why, hostsVariable, requireVariable)
}

// repository returns the folder of the repository, which the tests run in.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "tools", "cassandra", "cassandra.sh")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("cassandratest: tools/cassandra/cassandra.sh is not in a folder above this test")
		}
		dir = parent
	}
}

// tail returns the end of a log.
func tail(log []byte) []byte { return log[max(0, len(log)-4000):] }
