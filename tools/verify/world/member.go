package world

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/godwit-im/godwit/tools/process"
)

const (
	// startTimeout bounds the start of a process, on a machine that is busy with all of them.
	startTimeout = 3 * time.Minute

	// readyPoll is how often a process is asked whether it serves.
	readyPoll = 50 * time.Millisecond

	// restartPause is the time until a process is started again that has ended at once.
	restartPause = time.Second

	// notNow is the exit status of a process that could not start. A panic has another one,
	// and a signal has none.
	notNow = 1

	// tailBytes is how much of a log is shown in an error.
	tailBytes = 4000
)

// errEnded is the error of a process that ends instead of serving.
var errEnded = errors.New("it has ended")

// member is a process under test, that keeps its name, its ports and its data when it ends
// and is started again.
type member struct {
	// Static.
	name    string
	log     string // file that all of its lives write to
	command func() *exec.Cmd
	started string // what its log says when it serves, "" if that does not tell
	health  string // URL that answers with 200 when it serves, "" if there is none
	// up and down, if any, are called when it serves, and when it has been ended.
	up, down func()

	// doing is held while it is started or ended.
	doing  sync.Mutex
	served bool // by any of its lives; guarded by doing

	mu struct {
		sync.Mutex
		process *process.Process // of its latest life; nil before the first
		wanted  bool             // it has been started, and nobody has ended it since
		paused  bool
		falls   []string // how earlier lives have ended that nobody has ended
	}
}

// process returns its latest life.
func (m *member) process() (*process.Process, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.process == nil {
		return nil, fmt.Errorf("world: %s was not started", m.name)
	}
	return m.mu.process, nil
}

// note writes down what was done to it. A p of nil leaves that as it is.
func (m *member) note(p *process.Process, wanted, paused bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p != nil {
		m.mu.process = p
	}
	m.mu.wanted, m.mu.paused = wanted, paused
}

// answers reports whether it can be asked anything.
func (m *member) answers() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.process != nil && !m.mu.process.Ended() && !m.mu.paused
}

// fallen says how it has ended, if nobody has ended it.
func (m *member) fallen() (how string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.mu.wanted || !m.mu.process.Ended() {
		return "", false
	}
	return m.mu.process.How(), true
}

// falls says how each of its lives has ended that nobody has ended.
func (m *member) falls() []string {
	how, now := m.fallen()
	m.mu.Lock()
	defer m.mu.Unlock()
	list := slices.Clone(m.mu.falls)
	if now {
		list = append(list, how)
	}
	return list
}

// start starts it and returns when it serves. One that has served before is started again if
// it ends before it does, as whatever looks after services would do it: something that it
// needs may be away for now. Only an end that says so, with notNow, is no fall.
func (m *member) start(ctx context.Context) error {
	m.doing.Lock()
	defer m.doing.Unlock()
	if m.answers() {
		return fmt.Errorf("world: %s runs already", m.name)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := m.live(ctx)
		if err == nil || !m.served || !errors.Is(err, errEnded) {
			m.served = m.served || err == nil
			return err
		}
		if p, err := m.process(); err == nil && p.ExitCode() == notNow {
			m.note(nil, false, false) // this end does not count
		}
		select {
		case <-time.After(restartPause):
		case <-ctx.Done():
			return err
		}
	}
}

// live begins a life of it and returns when it serves.
func (m *member) live(ctx context.Context) error {
	log, err := os.OpenFile(m.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("world: %w", err)
	}
	defer log.Close() // the process has a descriptor of its own
	info, err := log.Stat()
	if err != nil {
		return fmt.Errorf("world: %w", err)
	}
	cmd := m.command()
	cmd.Stdout, cmd.Stderr = log, log
	p, err := process.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return fmt.Errorf("world: %s: %w", m.name, err)
	}
	falls := m.falls() // with that of the life before
	m.mu.Lock()
	m.mu.falls = falls
	m.mu.Unlock()
	m.note(p, true, false)
	if err := m.await(ctx, p, info.Size()); err != nil {
		return fmt.Errorf("world: %s does not serve: %w; the end of %s:\n%s", m.name, err, m.log, tail(m.log))
	}
	if m.up != nil {
		m.up()
	}
	return nil
}

// await returns when a life of the process serves whose log begins at an offset.
func (m *member) await(ctx context.Context, p *process.Process, offset int64) error {
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	for {
		if serves, err := m.serves(ctx, offset); serves || err != nil {
			return err
		}
		select {
		case <-poll.C:
		case <-p.Done():
			return fmt.Errorf("%w (%s)", errEnded, p.How())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// serves reports whether it has started, and says so of itself.
func (m *member) serves(ctx context.Context, offset int64) (bool, error) {
	if m.started != "" {
		log, err := os.ReadFile(m.log)
		if err != nil || !bytes.Contains(log[min(offset, int64(len(log))):], []byte(m.started)) {
			return false, err
		}
	}
	return m.health == "" || healthy(ctx, m.health), nil
}

// tail returns the end of a log.
func tail(name string) []byte {
	log, err := os.ReadFile(name)
	if err != nil {
		return []byte(err.Error())
	}
	return log[max(0, len(log)-tailBytes):]
}

// end sends it a signal after which it ends, and returns when it has.
func (m *member) end(ctx context.Context, s syscall.Signal) (evidence string, err error) {
	m.doing.Lock()
	defer m.doing.Unlock()
	p, err := m.process()
	if err != nil {
		return "", err
	}
	if how, ok := m.fallen(); ok {
		return "", fmt.Errorf("world: %s has ended by itself (%s); its log is %s", m.name, how, m.log)
	}
	m.note(nil, false, false)
	if s == syscall.SIGKILL {
		p.Kill()
	} else if err := p.Signal(s); err != nil {
		return "", fmt.Errorf("world: %v to %s: %w", s, m.name, err)
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		return "", fmt.Errorf("world: %s does not end after %v: %w", m.name, s, ctx.Err())
	}
	if m.down != nil {
		m.down()
	}
	return fmt.Sprintf("%s: process %d is gone (%s)", m.name, p.Pid(), p.How()), nil
}

// pause stops its threads and returns when all have stopped.
func (m *member) pause(ctx context.Context) (evidence string, err error) {
	m.doing.Lock()
	defer m.doing.Unlock()
	p, err := m.process()
	if err != nil {
		return "", err
	}
	m.note(nil, true, true)
	if err := p.Pause(ctx); err != nil {
		return "", fmt.Errorf("world: %s: %w", m.name, err)
	}
	return fmt.Sprintf("%s: all threads of process %d are stopped", m.name, p.Pid()), nil
}

// resume lets it go on. It does nothing if it was not paused.
func (m *member) resume() error {
	m.doing.Lock()
	defer m.doing.Unlock()
	p, err := m.process()
	if err != nil {
		return err
	}
	m.mu.Lock()
	paused := m.mu.paused
	m.mu.Unlock()
	if !paused {
		return nil
	}
	m.note(nil, true, false)
	if err := p.Resume(); err != nil {
		return fmt.Errorf("world: %s: %w", m.name, err)
	}
	return nil
}

// client asks admin ports. It keeps no connections: a process that is killed leaves none.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// healthTimeout bounds the answer to the question whether a process serves.
const healthTimeout = 2 * time.Second

// healthy reports whether a URL answers with 200.
func healthy(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	answer, err := client.Do(r)
	if err != nil {
		return false
	}
	_ = answer.Body.Close() // only the status matters
	return answer.StatusCode == http.StatusOK
}
