package report

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
)

func counts(second int) Counts {
	return Counts{
		Phase: event.Warmup, Elapsed: time.Duration(second) * time.Second, Left: time.Duration(65-second) * time.Second,
		Devices: 20, Connected: 18, Sends: int64(100 * second), Acks: int64(90 * second), Unseen: 1234,
	}
}

func TestProgressOnATerminal(t *testing.T) {
	var b bytes.Buffer
	width := 200
	p := NewProgress(&b)
	p.size = func() int { return width }
	shown := func(want string) {
		t.Helper()
		if b.String() != want {
			t.Errorf("the terminal was told %q, want %q", b.String(), want)
		}
		b.Reset()
	}
	p.Show(counts(1))
	shown("\r\x1b[K0:01 warmup (1:04 left)  18/20 connected  100 sends/s  90 acks/s  1,234 unseen")
	c := counts(3)
	c.Phase, c.Left, c.P99, c.Unknowns, c.Rejected, c.Violations, c.Fault = event.Faults, 0, 1234*time.Millisecond, 2, 3, 1, "4 node-kill\x1b of node-1"
	p.Show(c)
	const line = "0:03 faults  18/20 connected  100 sends/s  90 acks/s  p99 1.23 s  1,234 unseen  2 unknown  3 rejected  1 VIOLATIONS  [4 node-kill  of node-1]"
	shown("\r\x1b[K" + line)
	p.Say("fault %d has hit\x1b[2J", 4)
	shown("\r\x1b[Kfault 4 has hit [2J\n\r\x1b[K" + line)
	width = 21
	p.Show(c)
	shown("\r\x1b[K" + line[:20])
	p.End()
	p.End()
	shown("\r\x1b[K")
	p.Say("done")
	shown("\r\x1b[Kdone\n")
}

func TestProgressElsewhere(t *testing.T) {
	var b bytes.Buffer
	p := NewProgress(&b)
	for second := range 26 {
		c := counts(second)
		if second >= 23 {
			c.Phase = event.Faults
		}
		p.Show(c)
		if second == 12 {
			p.Say("a word")
		}
	}
	p.End()
	const want = `0:00 warmup (1:05 left)  18/20 connected  0 sends/s  0 acks/s  1,234 unseen
0:10 warmup (0:55 left)  18/20 connected  100 sends/s  90 acks/s  1,234 unseen
a word
0:20 warmup (0:45 left)  18/20 connected  100 sends/s  90 acks/s  1,234 unseen
0:23 faults (0:42 left)  18/20 connected  100 sends/s  90 acks/s  1,234 unseen
`
	if b.String() != want {
		t.Errorf("it was %s", b.String())
	}
}

// A pipe or a file is no terminal.
func TestFilesAreNoTerminals(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	p := NewProgress(f)
	p.Show(counts(1))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(f.Name())
	if err != nil || strings.Contains(string(text), "\x1b") || !strings.HasSuffix(string(text), "\n") {
		t.Errorf("the file has %q, %v", text, err)
	}
}
