package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/godwit-im/godwit/server/admin"
)

// isTerminal reports whether a file is a terminal.
func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// The sequences of ECMA-48 terminals that the table is made with.
const (
	screenEnter = "\x1b[?1049h\x1b[?25l" // a screen of its own, without a cursor
	screenLeave = "\x1b[?25h\x1b[?1049l"
	screenTop   = "\x1b[H"
	lineEnd     = "\x1b[K\n"
	screenRest  = "\x1b[J"
)

const (
	// screenEvery is how often the table is drawn when nothing happens: the ages of beats
	// and the numbers of connections change all the time.
	screenEvery = time.Second

	// screenPause is the least time between two drawings.
	screenPause = 200 * time.Millisecond

	// screenEvents is how many of the latest events are kept.
	screenEvents = 200
)

// clusterScreen shows the cluster as a table that stays in place, and the latest events
// below it.
type clusterScreen struct {
	w    *os.File
	port adminPort // a copy: its URL is that of mu
	stop context.CancelFunc
	done chan struct{}
	bell chan struct{} // an event has come

	mu struct {
		sync.Mutex
		url    string // of the node to ask
		status *admin.ClusterStatus
		events []string
	}
}

// newClusterScreen takes the terminal, until close, and draws from a goroutine of its own.
func newClusterScreen(ctx context.Context, w *os.File, port *adminPort) *clusterScreen {
	s := &clusterScreen{w: w, port: *port, done: make(chan struct{}), bell: make(chan struct{}, 1)}
	s.mu.url = port.url
	ctx, s.stop = context.WithCancel(ctx)
	go s.run(ctx)
	return s
}

func (s *clusterScreen) close() {
	s.stop()
	<-s.done
}

// follow tells which node the events come from now: it is the one to ask.
func (s *clusterScreen) follow(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.url = url
}

func (s *clusterScreen) event(e *admin.ClusterEvent, _ []byte) error {
	s.mu.Lock()
	if e.Status != nil {
		s.mu.status = e.Status
	}
	if text := eventText(e); text != "" {
		s.say(text)
	}
	s.mu.Unlock()
	s.ring()
	return nil
}

func (s *clusterScreen) note(text string) {
	s.mu.Lock()
	s.say(fmt.Sprintf("%s %s", time.Now().Format(time.TimeOnly), printable(text)))
	s.mu.Unlock()
	s.ring()
}

// say adds a line; mu is held.
func (s *clusterScreen) say(text string) {
	s.mu.events = append(s.mu.events, text)
	if over := len(s.mu.events) - screenEvents; over > 0 {
		s.mu.events = append(s.mu.events[:0], s.mu.events[over:]...)
	}
}

func (s *clusterScreen) ring() {
	select {
	case s.bell <- struct{}{}:
	default:
	}
}

// run draws until ctx ends. Nothing is drawn before the first status, so that an error at
// the beginning stays on the terminal.
func (s *clusterScreen) run(ctx context.Context) {
	defer close(s.done)
	every := time.NewTicker(screenEvery)
	defer every.Stop()
	entered := false
	for {
		select {
		case <-s.bell:
		case <-every.C:
		case <-ctx.Done():
			if entered {
				_, _ = io.WriteString(s.w, screenLeave) // the terminal may be gone
			}
			return
		}
		s.mu.Lock()
		known := s.mu.status != nil
		s.mu.Unlock()
		if !known {
			continue
		}
		if !entered {
			_, _ = io.WriteString(s.w, screenEnter)
			entered = true
		}
		s.refresh(ctx)
		s.draw()
		select {
		case <-time.After(screenPause):
		case <-ctx.Done():
		}
	}
}

// refresh asks for the status. Without an answer the last one stays.
func (s *clusterScreen) refresh(ctx context.Context) {
	s.mu.Lock()
	s.port.url = s.mu.url
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, screenEvery)
	defer cancel()
	var status admin.ClusterStatus
	if _, err := s.port.ask(ctx, http.MethodGet, "/v1/cluster", nil, nil, &status); err != nil {
		return
	}
	s.mu.Lock()
	s.mu.status = &status
	s.mu.Unlock()
}

// draw draws the table, and as many events as there is room for.
func (s *clusterScreen) draw() {
	width, height := 80, 24
	if size, err := unix.IoctlGetWinsize(int(s.w.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 && size.Row > 0 {
		width, height = int(size.Col), int(size.Row)
	}
	s.mu.Lock()
	lines := strings.Split(strings.TrimSuffix(describeCluster(s.mu.status), "\n"), "\n")
	lines = append(lines, "")
	room := max(0, height-len(lines)-1)
	lines = append(lines, s.mu.events[max(0, len(s.mu.events)-room):]...)
	s.mu.Unlock()
	var b strings.Builder
	b.WriteString(screenTop)
	for _, line := range lines[:min(len(lines), height-1)] {
		b.WriteString(cut(line, width))
		b.WriteString(lineEnd)
	}
	b.WriteString(screenRest)
	_, _ = io.WriteString(s.w, b.String()) // the terminal may be gone; then a signal comes
}

// cut returns the beginning of a line, at most width characters of it.
func cut(line string, width int) string {
	if utf8.RuneCountInString(line) <= width {
		return line
	}
	return string([]rune(line)[:width])
}
