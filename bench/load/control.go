package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A load process is driven over two pipes: it reads requests and writes replies, a line
// of JSON each. Serve is its end, Remote that of whoever started it.

// request is a line to a load process.
type request struct {
	Command string        `json:"cmd"`
	Config  *Config       `json:"config,omitempty"`
	Traffic *Traffic      `json:"traffic,omitempty"`
	N       int           `json:"n,omitempty"`
	Rate    float64       `json:"rate,omitempty"`
	Timeout time.Duration `json:"timeout_ns,omitempty"`
}

// reply is the answer.
type reply struct {
	Error  string  `json:"error,omitempty"`
	Result *Result `json:"result,omitempty"`
	Stats  *Stats  `json:"stats,omitempty"`
	Usage  *Usage  `json:"usage,omitempty"`
	N      int     `json:"n,omitempty"`
}

// Usage is what a load process has taken.
type Usage struct {
	CPU time.Duration `json:"cpu_ns"` // user and system
	RSS int64         `json:"rss"`    // bytes
}

// processGC is the garbage collector's target in a load process. There is hardly any
// garbage, and the memory is better used for connections.
const processGC = 25

// Serve is a load process: it answers the requests of in on out until in ends or says
// quit. It may be called once, by the process's main goroutine.
func Serve(in io.Reader, out io.Writer) error {
	debug.SetGCPercent(processGC)
	var g *Generator
	defer func() {
		if g != nil {
			g.Close()
		}
	}()
	requests, replies := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var q request
		switch err := requests.Decode(&q); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("load: a request: %w", err)
		case q.Command == "quit":
			return nil
		}
		a, err := q.serve(&g)
		if err != nil {
			a.Error = err.Error()
		}
		if err := replies.Encode(&a); err != nil {
			return fmt.Errorf("load: a reply: %w", err)
		}
	}
}

func (q *request) serve(at **Generator) (a reply, err error) {
	ctx, cancel := context.Background(), context.CancelFunc(func() {})
	if q.Timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, q.Timeout)
	}
	defer cancel()
	g := *at
	if g == nil && q.Command != "start" && q.Command != "usage" {
		return a, fmt.Errorf("load: %s before start", q.Command)
	}
	var r Result
	switch q.Command {
	case "start":
		if q.Config == nil {
			return a, errors.New("load: start without a config")
		}
		if g != nil {
			g.Close()
		}
		*at, err = New(*q.Config)
		return a, err
	case "connect":
		r, err = g.Connect(ctx, q.N, q.Rate)
	case "feed":
		r, err = g.OpenFeed(ctx)
	case "churn":
		r, err = g.Churn(ctx, q.N, q.Rate)
	case "storm":
		r, err = g.Storm(ctx, q.N, q.Rate)
	case "reopen":
		r, err = g.Reopen(ctx, q.N, q.Rate)
	case "back":
		r, err = g.Back(ctx)
	case "return":
		r, err = g.Return(ctx, q.Rate)
	case "run":
		if q.Traffic == nil {
			return a, errors.New("load: run without traffic")
		}
		r, err = g.Run(ctx, *q.Traffic)
	case "leave":
		a.N = g.Leave(q.N)
		return a, nil
	case "slow":
		a.N = g.Slow(q.N)
		return a, nil
	case "resume":
		a.N = g.Resume()
		return a, nil
	case "stats":
		s := g.Stats()
		a.Stats = &s
		return a, nil
	case "usage":
		a.Usage, err = usage()
		return a, err
	default:
		return a, fmt.Errorf("load: there is no command %q", q.Command)
	}
	a.Result = &r
	return a, err
}

// usage returns what this process has taken. Garbage is collected first.
func usage() (*Usage, error) {
	debug.FreeOSMemory()
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		return nil, fmt.Errorf("load: getrusage: %w", err)
	}
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	_, rest, _ := strings.Cut(string(statm), " ")
	resident, _, _ := strings.Cut(rest, " ")
	pages, err := strconv.ParseInt(resident, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("load: /proc/self/statm: %w", err)
	}
	return &Usage{
		CPU: time.Duration(r.Utime.Nano() + r.Stime.Nano()),
		RSS: pages * int64(os.Getpagesize()),
	}, nil
}

// Remote is a Generator in a load process. Its methods are those of Generator, with a
// timeout in place of a context (0 for none). One goroutine at a time may use it.
type Remote struct {
	requests *json.Encoder
	replies  *json.Decoder
}

// NewRemote returns the Generator of a load process that reads from requests and writes
// to replies.
func NewRemote(requests io.Writer, replies io.Reader) *Remote {
	return &Remote{json.NewEncoder(requests), json.NewDecoder(replies)}
}

func (r *Remote) ask(q request) (reply, error) {
	if err := r.requests.Encode(&q); err != nil {
		return reply{}, fmt.Errorf("load: %s: %w", q.Command, err)
	}
	var a reply
	if err := r.replies.Decode(&a); err != nil {
		return reply{}, fmt.Errorf("load: %s: the load process has ended: %w", q.Command, err)
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

func (r *Remote) result(q request) (Result, error) {
	a, err := r.ask(q)
	if a.Result == nil {
		return Result{}, err
	}
	return *a.Result, err
}

// Start makes the process's Generator; one that it had is closed.
func (r *Remote) Start(c Config) error {
	_, err := r.ask(request{Command: "start", Config: &c})
	return err
}

// Connect is Generator.Connect.
func (r *Remote) Connect(n int, rate float64, timeout time.Duration) (Result, error) {
	return r.result(request{Command: "connect", N: n, Rate: rate, Timeout: timeout})
}

// OpenFeed is Generator.OpenFeed.
func (r *Remote) OpenFeed(timeout time.Duration) (Result, error) {
	return r.result(request{Command: "feed", Timeout: timeout})
}

// Churn is Generator.Churn.
func (r *Remote) Churn(n int, rate float64, timeout time.Duration) (Result, error) {
	return r.result(request{Command: "churn", N: n, Rate: rate, Timeout: timeout})
}

// Storm is Generator.Storm.
func (r *Remote) Storm(n int, rate float64, timeout time.Duration) (Result, error) {
	return r.result(request{Command: "storm", N: n, Rate: rate, Timeout: timeout})
}

// Reopen is Generator.Reopen.
func (r *Remote) Reopen(n int, rate float64, timeout time.Duration) (Result, error) {
	return r.result(request{Command: "reopen", N: n, Rate: rate, Timeout: timeout})
}

// Leave is Generator.Leave.
func (r *Remote) Leave(n int) (int, error) {
	a, err := r.ask(request{Command: "leave", N: n})
	return a.N, err
}

// Return is Generator.Return.
func (r *Remote) Return(rate float64, timeout time.Duration) (Result, error) {
	return r.result(request{Command: "return", Rate: rate, Timeout: timeout})
}

// Back is Generator.Back.
func (r *Remote) Back(timeout time.Duration) (Result, error) {
	return r.result(request{Command: "back", Timeout: timeout})
}

// Run is Generator.Run.
func (r *Remote) Run(t Traffic) (Result, error) {
	return r.result(request{Command: "run", Traffic: &t})
}

// Slow is Generator.Slow.
func (r *Remote) Slow(n int) (int, error) {
	a, err := r.ask(request{Command: "slow", N: n})
	return a.N, err
}

// Resume is Generator.Resume.
func (r *Remote) Resume() (int, error) {
	a, err := r.ask(request{Command: "resume"})
	return a.N, err
}

// Stats is Generator.Stats.
func (r *Remote) Stats() (Stats, error) {
	a, err := r.ask(request{Command: "stats"})
	if a.Stats == nil {
		return Stats{}, err
	}
	return *a.Stats, err
}

// Usage returns what the process has taken.
func (r *Remote) Usage() (Usage, error) {
	a, err := r.ask(request{Command: "usage"})
	if a.Usage == nil {
		return Usage{}, err
	}
	return *a.Usage, err
}

// Quit has the process end.
func (r *Remote) Quit() error {
	if err := r.requests.Encode(&request{Command: "quit"}); err != nil {
		return fmt.Errorf("load: quit: %w", err)
	}
	return nil
}
