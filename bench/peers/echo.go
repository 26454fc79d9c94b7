package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"

	"time"

	"github.com/gobwas/ws"

	"github.com/godwit-im/godwit/bench/peers/control"
)

// echoClientName is the name under which this program is its own client.
const echoClientName = "echo-client"

// echoFloor returns what count echoes on a bare event loop cost this process, in
// microseconds each. The client is a process of its own, so that its time does not
// count, and has its connections before the time begins. At a rate, the echoes come
// at that rate; without one, each connection sends again when it has its echo.
func echoFloor(ctx context.Context, cfg config, k control.Kafka, count int64) (each float64, err error) {
	server, err := newGnetBare(cfg)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, self, echoClientName,
		"-addr", server.addr,
		"-conns", strconv.Itoa(k.EchoConns),
		"-count", strconv.FormatInt(count, 10),
		"-size", strconv.Itoa(k.Size),
		"-rate", strconv.Itoa(k.Rate))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		if waited := cmd.Wait(); waited != nil {
			err = errors.Join(err, fmt.Errorf("the client of the echoes: %w", waited))
		}
	}()
	defer in.Close()
	lines := bufio.NewReader(out)
	if _, err := lines.ReadString('\n'); err != nil {
		return 0, fmt.Errorf("the client of the echoes did not connect: %w", err)
	}
	before, err := control.CPU()
	if err != nil {
		return 0, err
	}
	if _, err := fmt.Fprintln(in, "go"); err != nil {
		return 0, err
	}
	if _, err := lines.ReadString('\n'); err != nil {
		return 0, fmt.Errorf("the client of the echoes did not end: %w", err)
	}
	after, err := control.CPU()
	if err != nil {
		return 0, err
	}
	return float64((after - before).Nanoseconds()) / 1e3 / float64(count), nil
}

// echoClient is the client: it connects, says so by a line, waits for a line, sends
// its frames, and says by a line that all came back.
func echoClient(args []string, in io.Reader, out io.Writer) error {
	var addr string
	var conns, size, rate int
	var count int64
	flags := flag.NewFlagSet(echoClientName, flag.ContinueOnError)
	flags.StringVar(&addr, "addr", "", "the server, `host:port`")
	flags.IntVar(&conns, "conns", 1, "connections")
	flags.Int64Var(&count, "count", 1, "echoes")
	flags.IntVar(&size, "size", 1, "bytes of payload")
	flags.IntVar(&rate, "rate", 0, "echoes a second; 0 for as many as go")
	if err := flags.Parse(args); err != nil {
		return err
	}
	frame := ws.MaskFrame(ws.NewBinaryFrame(payload(size)))
	e := &echoes{request: ws.MustCompileFrame(frame), reply: len(frames(size, 1)), count: count}
	for range conns {
		c, _, _, err := ws.Dial(context.Background(), "ws://"+addr+"/")
		if err != nil {
			return err
		}
		defer c.Close()
		e.conns = append(e.conns, c)
	}
	if _, err := fmt.Fprintln(out, "connected"); err != nil {
		return err
	}
	if _, err := bufio.NewReader(in).ReadString('\n'); err != nil {
		return err
	}
	var err error
	if rate > 0 {
		err = e.paced(rate)
	} else {
		err = e.saturate()
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "done")
	return err
}

// echoes is the work of a client.
type echoes struct {
	conns   []net.Conn
	request []byte
	reply   int // bytes of an echo
	count   int64
}

// saturate has each connection send again when its echo has come, until there were
// count in all.
func (e *echoes) saturate() error {
	var begun atomic.Int64
	return e.each(func(_ int, c net.Conn) error {
		for begun.Add(1) <= e.count {
			if _, err := c.Write(e.request); err != nil {
				return err
			}
			if _, err := io.CopyN(io.Discard, c, int64(e.reply)); err != nil {
				return err
			}
		}
		return nil
	})
}

// paced sends count frames at a rate, over one connection after the other, while
// the echoes are read.
func (e *echoes) paced(rate int) error {
	sent := make(chan error, 1)
	go func() { sent <- e.send(rate) }()
	err := e.each(func(i int, c net.Conn) error {
		n := int64(len(e.conns))
		mine := (e.count + n - 1 - int64(i)) / n
		_, err := io.CopyN(io.Discard, c, mine*int64(e.reply))
		return err
	})
	return errors.Join(err, <-sent)
}

func (e *echoes) send(rate int) error {
	p, err := newPacer(rate)
	if err != nil {
		return err
	}
	defer p.close()
	for n := int64(0); n < e.count; {
		ready, err := p.wait()
		if err != nil {
			return err
		}
		for ; ready > 0 && n < e.count; ready-- {
			if _, err := e.conns[n%int64(len(e.conns))].Write(e.request); err != nil {
				return err
			}
			n++
		}
	}
	return nil
}

// each runs f for all connections at once. The first error closes all of them.
func (e *echoes) each(f func(i int, c net.Conn) error) error {
	errs := make([]error, len(e.conns))
	var all sync.WaitGroup
	for i, c := range e.conns {
		all.Go(func() {
			if errs[i] = f(i, c); errs[i] != nil {
				for _, c := range e.conns {
					_ = c.SetDeadline(time.Now()) // the error is kept already
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
