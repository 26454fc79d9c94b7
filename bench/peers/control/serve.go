package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// defaultWindow and defaultEchoConns stand for a 0 in a Kafka.
const (
	defaultWindow    = 8192
	defaultEchoConns = 64
)

// Serve says on out that p is ready, and does what the lines of in say until one
// says quit or in ends. It does not close p.
//
// The goroutine that reads in ends with in, which may be after Serve has returned.
func Serve(p Peer, in io.Reader, out io.Writer) error {
	answers := json.NewEncoder(out)
	if err := answers.Encode(p.Ready()); err != nil {
		return fmt.Errorf("control: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	// A goroutine reads, so that the end of in is seen while a command runs.
	lines := make(chan []byte)
	failed := make(chan error, 1)
	go func() {
		defer close(lines)
		defer cancel()
		s := bufio.NewScanner(in)
		s.Buffer(nil, maxLine)
		for s.Scan() {
			select {
			case lines <- bytes.Clone(s.Bytes()):
			case <-ctx.Done():
				return
			}
		}
		failed <- s.Err()
	}()
	for line := range lines {
		answer, err := do(ctx, p, line)
		quit := errors.Is(err, errQuit)
		switch {
		case quit:
			answer = struct{}{}
		case err != nil:
			answer = failure{err.Error()}
		}
		if err := answers.Encode(answer); err != nil {
			return fmt.Errorf("control: %w", err)
		}
		if quit {
			return nil
		}
	}
	if err := <-failed; err != nil {
		return fmt.Errorf("control: reading commands: %w", err)
	}
	return nil
}

// errQuit is the outcome of a command that ends the process.
var errQuit = errors.New("quit")

// failure is the answer to a command that failed.
type failure struct {
	Error string `json:"error"`
}

// do does what a line says and returns the answer.
func do(ctx context.Context, p Peer, line []byte) (any, error) {
	var c struct {
		Cmd string `json:"cmd"`
	}
	if err := json.Unmarshal(line, &c); err != nil {
		return nil, fmt.Errorf("not a command: %w", err)
	}
	switch c.Cmd {
	case "push":
		return push(ctx, p, line)
	case "kafka":
		return kafka(ctx, p, line)
	case "stats":
		if err := decode(line, &c); err != nil {
			return nil, err
		}
		return stats(p.Conns())
	case "quit":
		return nil, errQuit
	}
	return nil, fmt.Errorf("no such command: %q", c.Cmd)
}

func push(ctx context.Context, p Peer, line []byte) (any, error) {
	pusher, ok := p.(Pusher)
	if !ok {
		return nil, errors.New("this peer does not push")
	}
	var c struct {
		Cmd string `json:"cmd"`
		Push
	}
	if err := decode(line, &c); err != nil {
		return nil, err
	}
	if c.Batch == 0 {
		c.Batch = 1
	}
	if err := c.Push.validate(); err != nil {
		return nil, err
	}
	began := time.Now()
	before, err := CPU()
	if err != nil {
		return nil, err
	}
	frames, err := pusher.Push(ctx, c.Push)
	if err != nil {
		return nil, err
	}
	after, err := CPU()
	if err != nil {
		return nil, err
	}
	return PushResult{
		Writes: frames / int64(c.Count) * int64(c.Push.Writes()),
		Frames: frames,
		CPU:    (after - before).Microseconds(),
		Wall:   time.Since(began).Microseconds(),
	}, nil
}

func kafka(ctx context.Context, p Peer, line []byte) (any, error) {
	runner, ok := p.(KafkaRunner)
	if !ok {
		return nil, errors.New("this peer does not use Kafka")
	}
	var c struct {
		Cmd string `json:"cmd"`
		Kafka
	}
	if err := decode(line, &c); err != nil {
		return nil, err
	}
	if c.Window == 0 {
		c.Window = defaultWindow
	}
	if c.EchoConns == 0 {
		c.EchoConns = defaultEchoConns
	}
	if c.RecordsPerMessage == 0 {
		c.RecordsPerMessage = 1
	}
	if err := c.Kafka.validate(); err != nil {
		return nil, err
	}
	return runner.Run(ctx, c.Kafka)
}

// decode decodes a command, of which every field must be known.
func decode(line []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("not a command: %w", err)
	}
	return nil
}
