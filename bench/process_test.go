package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/tools/processtest"
)

// patience only ends what has failed.
const patience = 2 * time.Minute

// process is a child process that is spoken to over two pipes.
type process struct {
	*processtest.Process
	stdin  io.WriteCloser
	stdout io.Reader
}

// launch starts a program. It is killed when the test ends.
func launch(tb testing.TB, env []string, program string, args ...string) *process {
	tb.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = env
	stdin, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	// Not StdoutPipe, which Wait closes.
	reader, writer, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Stdout = writer
	tb.Cleanup(func() { reader.Close() })
	p := &process{processtest.Start(tb, cmd), stdin, reader}
	writer.Close()
	return p
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
