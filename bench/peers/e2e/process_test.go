package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/bench/peers/control"
)

const timeout = 30 * time.Second

// program is the program under test, built in the folder that git ignores.
const program = "../bin/peers-under-test"

// TestMain builds the program with the race detector.
func TestMain(m *testing.M) {
	if out, err := exec.Command("go", "build", "-race", "-o", program, "..").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the program: %v\n%s", err, out)
		os.Exit(1)
	}
	kafkatest.Main(m)
}

// process is a peer in a process of its own.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	ready control.Ready
}

// start starts a peer, which is ended with the test if it has not ended by then.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: cmd, in: in, out: bufio.NewReader(out)}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	p.read(&p.ready)
	if p.ready.PID != cmd.Process.Pid {
		t.Fatalf("ready says process %d, and it is %d", p.ready.PID, cmd.Process.Pid)
	}
	return p
}

// read reads a line. Nothing may be in it that into has no field for.
func (p *process) read(into any) {
	p.t.Helper()
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		p.t.Fatalf("%q, and then %v", line, err)
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		p.t.Fatalf("%q: %v", line, err)
	}
}

// do sends a command and reads its answer.
func (p *process) do(command string, into any) {
	p.t.Helper()
	p.send(command)
	p.read(into)
}

func (p *process) send(command string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, command); err != nil {
		p.t.Fatal(err)
	}
}

// refused sends a command that must fail, and returns why it did.
func (p *process) refused(command string) string {
	p.t.Helper()
	p.send(command)
	why := p.answerError()
	if why == "" {
		p.t.Fatalf("%s: no error", command)
	}
	return why
}

// answerError reads an answer that must be an error.
func (p *process) answerError() string {
	p.t.Helper()
	var answer struct {
		Error string `json:"error"`
	}
	p.read(&answer)
	return answer.Error
}

// awaitConns waits until the peer has so many connections.
func (p *process) awaitConns(n int) control.Stats {
	p.t.Helper()
	for deadline := time.Now().Add(timeout); ; time.Sleep(10 * time.Millisecond) {
		var s control.Stats
		p.do(`{"cmd":"stats"}`, &s)
		if s.Conns == n {
			return s
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%d connections, want %d", s.Conns, n)
		}
	}
}

// quit ends the peer by command.
func (p *process) quit() {
	p.t.Helper()
	p.do(`{"cmd":"quit"}`, &struct{}{})
	p.ended()
}

// ended waits for the end of the process, which must be a good one.
func (p *process) ended() {
	p.t.Helper()
	if rest, err := io.ReadAll(p.out); err != nil || len(rest) > 0 {
		p.t.Errorf("after the last answer: %q, %v", rest, err)
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("the process ended with %v", err)
	}
}

// payload returns the payload of every frame that is pushed, and of frames that are
// echoed.
func payload(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return b
}

// client is a connection to a peer.
type client struct {
	net.Conn
	in io.Reader
}

// dial connects and upgrades, and says hello if the peer wants it.
func (p *process) dial() *client {
	p.t.Helper()
	d := ws.Dialer{Timeout: timeout}
	conn, early, _, err := d.Dial(p.t.Context(), "ws://"+p.ready.Addr+p.ready.Path)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(2 * timeout)); err != nil {
		p.t.Fatal(err)
	}
	c := &client{conn, conn}
	if early != nil {
		c.in = io.MultiReader(early, conn)
	}
	if p.ready.Hello != "" {
		if err := wsutil.WriteClientText(conn, []byte(p.ready.Hello)); err != nil {
			p.t.Fatal(err)
		}
		if _, _, err := c.next(); err != nil {
			p.t.Fatal(err)
		}
	}
	return c
}

func (p *process) dialAll(n int) []*client {
	p.t.Helper()
	all := make([]*client, n)
	for i := range all {
		all[i] = p.dial()
	}
	return all
}

// next reads a frame. It must be whole and not masked, and it may not be the first
// of several.
func (c *client) next() ([]byte, ws.OpCode, error) {
	h, err := ws.ReadHeader(c.in)
	if err != nil {
		return nil, 0, err
	}
	if !h.Fin || h.Masked || h.OpCode == ws.OpContinuation || h.Length > 1<<20 {
		return nil, 0, fmt.Errorf("a frame with the header %+v", h)
	}
	payload := make([]byte, h.Length)
	_, err = io.ReadFull(c.in, payload)
	return payload, h.OpCode, err
}

// want reads a frame, which must be this one.
func (c *client) want(op ws.OpCode, payload []byte) error {
	got, gotOp, err := c.next()
	switch {
	case err != nil:
		return err
	case gotOp != op:
		return fmt.Errorf("a frame of kind %v, want %v", gotOp, op)
	case !bytes.Equal(got, payload):
		return fmt.Errorf("a frame with %.60q and so on, %d bytes, want %.60q, %d", got, len(got), payload, len(payload))
	}
	return nil
}

// together runs f for all clients at once.
func together(t *testing.T, clients []*client, f func(*client) error) {
	t.Helper()
	errs := make(chan error, len(clients))
	for i, c := range clients {
		go func() {
			err := f(c)
			if err != nil {
				err = fmt.Errorf("client %d: %w", i, err)
			}
			errs <- err
		}()
	}
	var all error
	for range clients {
		all = errors.Join(all, <-errs)
	}
	if all != nil {
		t.Fatal(all)
	}
}
