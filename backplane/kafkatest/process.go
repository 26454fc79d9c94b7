package kafkatest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/kafka"
	script "github.com/godwit-im/godwit/tools/kafka"
	"github.com/godwit-im/godwit/tools/process"
)

const (
	startTimeout = 2 * time.Minute // fetching the jars included
	stopTimeout  = 30 * time.Second
)

// Process is a node of Apache Kafka that belongs to a test. It keeps its address and
// its data when it is stopped or killed and started again.
type Process struct {
	t      testing.TB // the test that it belongs to; nil for the shared one
	node   script.Node
	script string // the path of it

	running *process.Process // nil before it was started
}

// Private starts a node of Apache Kafka for one test, which may kill it. It is
// killed when the test ends.
func Private(t testing.TB) *Process {
	t.Helper()
	Need(t)
	p, err := alone(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p.t = t
	t.Cleanup(p.Kill)
	p.Start(t)
	return p
}

// Config returns the configuration of a new messages topic of this node.
func (p *Process) Config(t testing.TB, partitions int32) kafka.Config {
	t.Helper()
	cfg := newConfig(t, partitions)
	cfg.Brokers = []string{p.node.Address()}
	Create(t, cfg)
	return cfg
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

// alone returns a node that is a cluster by itself, not started yet.
func alone(data string) (*Process, error) {
	ports, err := process.FreePorts(2)
	if err != nil {
		return nil, err
	}
	return newProcess(newNode(data, ports[0], ports[1]))
}

// newNode returns the settings of a node.
func newNode(data string, port, controller int) script.Node {
	return script.Node{Port: port, Controller: controller, Data: data, Heap: "384m"}
}

// newProcess returns a node that is not started yet.
func newProcess(node script.Node) (*Process, error) {
	root, err := repository()
	if err != nil {
		return nil, err
	}
	return &Process{node: node, script: filepath.Join(root, filepath.FromSlash(script.Script))}, nil
}

func (p *Process) start() error {
	logName := filepath.Join(p.node.Data, "process.log")
	log, err := os.Create(logName)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.script, script.Run)
	cmd.Env = append(os.Environ(), p.node.Environment()...)
	cmd.Stdout, cmd.Stderr = log, log
	// The node must not outlive a test process that is killed.
	running, err := process.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return fmt.Errorf("kafkatest: %w", err)
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
		if bytes.Contains(out, []byte(script.Started)) {
			return nil
		}
		select {
		case <-look.C:
		case <-running.Done():
			return fmt.Errorf("kafkatest: Kafka ended before it served:\n%s", tail(out))
		case <-deadline:
			p.Kill()
			return fmt.Errorf("kafkatest: Kafka does not serve after %v:\n%s", startTimeout, tail(out))
		}
	}
}

// end sends a signal to the process, if it runs, and waits for it to end.
func (p *Process) end(signal syscall.Signal) error {
	if p.running == nil || p.running.Ended() {
		return nil
	}
	if err := p.running.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kafkatest: %w", err)
	}
	select {
	case <-p.running.Done():
		return nil
	case <-time.After(stopTimeout):
		return fmt.Errorf("kafkatest: Kafka does not end %v after %v", stopTimeout, signal)
	}
}

// tail returns the end of a log.
func tail(log []byte) []byte { return log[max(0, len(log)-4000):] }
