package report

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/godwit-im/godwit/tools/verify/event"
)

// Counts are what a Progress shows. They count from the beginning of the run.
type Counts struct {
	Phase    event.PhaseName
	Elapsed  time.Duration // since the run began
	Left     time.Duration // until the phase should end; 0 if nobody knows
	Fault    string        // that lasts, some words; "" if none does
	Devices  int           // that there are
	Sends    int64
	Acks     int64
	Rejected int64
	Unknowns int64
	// Connected is how many devices are connected, Unseen how many deliveries are outstanding.
	Connected int
	Unseen    int64
	// Violations are what the clients saw the server do against the protocol.
	Violations int64
	P99        time.Duration // from a send to its ack, of late; 0 if it is not known
}

// logEvery is how often a Progress writes a line where it cannot write over the last one.
const logEvery = 10 * time.Second

// Progress shows how a run does: on a terminal by a line that changes, and elsewhere by a line
// each ten seconds and at each new phase. Its methods may be called from any goroutine.
type Progress struct {
	// Static after construction.
	w    io.Writer
	size func() int // columns of the terminal; nil if it is none

	mu sync.Mutex
	// Guarded by mu.
	last  Counts        // shown
	rates [2]float64    // sends and acks a second, of late
	told  time.Duration // when a line was written, elsewhere
	line  string        // on the terminal now
}

// NewProgress returns a Progress that writes to w. Errors of w are ignored: who is not
// looking misses nothing.
func NewProgress(w io.Writer) *Progress {
	p := &Progress{w: w, told: -logEvery}
	if f, ok := w.(*os.File); ok {
		if columns(f) > 0 {
			p.size = func() int { return columns(f) }
		}
	}
	return p
}

// columns returns how wide a terminal is, 0 if a file is none.
func columns(f *os.File) int {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}

// Show shows the counts. It is to be called about once a second.
func (p *Progress) Show(c Counts) {
	p.mu.Lock()
	defer p.mu.Unlock()
	entered := c.Phase != p.last.Phase
	if p.size == nil && !entered && c.Elapsed-p.told < logEvery {
		return
	}
	if passed := (c.Elapsed - p.last.Elapsed).Seconds(); passed > 0 {
		p.rates = [2]float64{float64(c.Sends-p.last.Sends) / passed, float64(c.Acks-p.last.Acks) / passed}
	}
	p.last = c
	if p.size == nil {
		p.told = c.Elapsed
		fmt.Fprintln(p.w, progressLine(c, p.rates))
		return
	}
	p.line = progressLine(c, p.rates)
	p.draw()
}

// Say writes a line that stays.
func (p *Progress) Say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := printable(fmt.Sprintf(format, args...))
	if p.size == nil {
		fmt.Fprintln(p.w, text)
		return
	}
	fmt.Fprintf(p.w, "\r\x1b[K%s\n", text)
	p.draw()
}

// End takes the changing line away.
func (p *Progress) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.line != "" {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.line = ""
	}
}

// draw writes the line over the last one. A line that is too long for the terminal would take
// two of it, of which only one could be written over.
func (p *Progress) draw() {
	if p.line == "" {
		return
	}
	line := []rune(p.line)
	if most := p.size() - 1; most > 0 && len(line) > most {
		line = line[:most]
	}
	fmt.Fprintf(p.w, "\r\x1b[K%s", string(line))
}

func progressLine(c Counts, rates [2]float64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", clock(c.Elapsed), c.Phase)
	if c.Left > 0 {
		fmt.Fprintf(&b, " (%s left)", clock(c.Left))
	}
	fmt.Fprintf(&b, "  %d/%d connected  %.0f sends/s  %.0f acks/s", c.Connected, c.Devices, rates[0], rates[1])
	if c.P99 > 0 {
		fmt.Fprintf(&b, "  p99 %s", span(c.P99))
	}
	fmt.Fprintf(&b, "  %s unseen", count(c.Unseen))
	for _, n := range []struct {
		n    int64
		what string
	}{{c.Unknowns, "unknown"}, {c.Rejected, "rejected"}, {c.Violations, "VIOLATIONS"}} {
		if n.n > 0 {
			fmt.Fprintf(&b, "  %s %s", count(n.n), n.what)
		}
	}
	if c.Fault != "" {
		fmt.Fprintf(&b, "  [%s]", c.Fault)
	}
	return printable(b.String())
}
