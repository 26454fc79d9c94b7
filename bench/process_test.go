package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience only ends what has failed.
const patience = 2 * time.Minute

// process is a child process.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout io.Reader
	stderr output
	done   chan struct{} // closed when it has ended
}

// output keeps what a process writes. Any goroutine may use it.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// launch starts a program. It is killed when the test ends.
func launch(tb testing.TB, env []string, program string, args ...string) *process {
	tb.Helper()
	p := &process{cmd: exec.Command(program, args...), done: make(chan struct{})}
	p.cmd.Env = append(environment(), env...)
	p.cmd.Stderr = &p.stderr
	// It must not outlive a test process that is killed.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		tb.Fatal(err)
	}
	// Not StdoutPipe, which Wait closes.
	reader, writer, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	p.stdout, p.cmd.Stdout = reader, writer
	started := make(chan error, 1)
	go func() {
		// Pdeathsig tells of the thread that started the process, so that one waits.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		err := p.cmd.Start()
		writer.Close()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // why it ended is in what it wrote
		}
	}()
	if err := <-started; err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		p.kill()
		reader.Close()
		if tb.Failed() {
			tb.Logf("%s wrote:\n%s", program, tail(p.stderr.String()))
		}
	})
	return p
}

// environment returns this process's variables without those that are settings of a
// node.
func environment() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "GODWIT_") {
			env = append(env, kv)
		}
	}
	return env
}

// tail returns the end of a log.
func tail(log string) string { return log[max(0, len(log)-8000):] }

func (p *process) pid() int { return p.cmd.Process.Pid }

// kill ends the process as kill -9 does, if it runs.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // the error says that it has ended
	<-p.done
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// ticks is how many units of CPU time /proc has in a second: USER_HZ, which is 100 on
// every architecture that Go runs on.
const ticks = 100

// cpu returns the CPU time, user and system, that a process has taken: the fields utime
// and stime of proc_pid_stat(5).
func cpu(tb testing.TB, pid int) time.Duration {
	tb.Helper()
	text := readProc(tb, pid, "stat")
	// The second field is the name in parentheses, which may hold anything.
	_, text, _ = strings.Cut(text[strings.LastIndexByte(text, ')'):], " ")
	fields := strings.Fields(text) // from the third field on
	const utime, stime = 14 - 3, 15 - 3
	return time.Duration(number(tb, fields[utime])+number(tb, fields[stime])) * time.Second / ticks
}

// rss returns the resident memory of a process in bytes: the second field of
// proc_pid_statm(5).
func rss(tb testing.TB, pid int) int64 {
	tb.Helper()
	return number(tb, strings.Fields(readProc(tb, pid, "statm"))[1]) * int64(os.Getpagesize())
}

func readProc(tb testing.TB, pid int, name string) string {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

func number(tb testing.TB, text string) int64 {
	tb.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// meminfo returns a line of proc_meminfo(5) in bytes.
func meminfo(tb testing.TB, name string) int64 {
	tb.Helper()
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			return number(tb, strings.Fields(rest)[0]) << 10
		}
	}
	tb.Fatalf("/proc/meminfo has no %s", name)
	return 0
}

// lines speaks JSON with a process, a line each way.
type lines struct {
	in  *json.Encoder
	out *json.Decoder
}

func (l *lines) ask(tb testing.TB, request, answer any) {
	tb.Helper()
	if err := l.in.Encode(request); err != nil {
		tb.Fatal(err)
	}
	l.answer(tb, answer)
}

func (l *lines) answer(tb testing.TB, answer any) {
	tb.Helper()
	var raw json.RawMessage
	if err := l.out.Decode(&raw); err != nil {
		tb.Fatalf("the process has ended: %v", err)
	}
	var failed struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(raw, &failed); err != nil || failed.Error != "" {
		tb.Fatalf("%s, %v", raw, err)
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		tb.Fatalf("%s: %v", raw, err)
	}
}
