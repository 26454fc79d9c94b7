package wire

import (
	"context"
	"errors"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/tools/processtest"
)

// node is a godwit dev process, with the embedded broker.
type node struct {
	*processtest.Process
	url    string // where clients connect
	binary string
	data   string
}

var build = sync.OnceValues(func() (string, error) {
	return processtest.Build(root, "verify-wire/godwit", root, "./tools/godwit")
})

var (
	devURL   = regexp.MustCompile(`(?m)^ *clients +(ws://\S+)`)
	devAdmin = regexp.MustCompile(`(?m)^ *admin +(http://\S+)`)
)

// startNode starts a node and waits until it is ready.
func startNode(t *testing.T) *node {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a node")
	}
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	n := &node{binary: binary, data: t.TempDir()}
	n.Process = processtest.Start(t, exec.Command(binary, "dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", n.data))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	eventually(t, "the node is ready", func() bool {
		if n.Ended() {
			t.Fatalf("the node ended:\n%s", n.Stderr.String())
		}
		url, admin := devURL.FindStringSubmatch(n.Stdout.String()), devAdmin.FindStringSubmatch(n.Stdout.String())
		if url == nil || admin == nil {
			return false
		}
		n.url = url[1]
		resp, err := client.Get(admin[1] + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return n
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so after %v: %s", patience, what)
		}
	}
}

// token returns a token of a user.
func (n *node) token(t *testing.T, user string) string {
	t.Helper()
	out, err := exec.Command(n.binary, "token", "--data", n.data, "--user", user).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// device is a connection to a node whose frames a test waits for, in order.
type device struct {
	*Conn
	t      *testing.T
	frames chan Frame // closed after the last one
	end    *End       // valid then
	other  []Frame    // came while the test waited for others
}

// dial connects with options that lack only what every connection of the node has.
func (n *node) dial(t *testing.T, o Options) (*device, error) {
	t.Helper()
	if o.URL == "" {
		o.URL = n.url
	}
	if o.Token == "" {
		o.Token = n.token(t, o.User)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := Dial(ctx, o)
	if err != nil {
		return nil, err
	}
	d := &device{Conn: c, t: t, frames: make(chan Frame, 10_000)}
	go func() {
		defer close(d.frames)
		for {
			frame, err := c.Next()
			if err != nil {
				errors.As(err, &d.end)
				return
			}
			d.frames <- frame
		}
	}()
	t.Cleanup(func() {
		c.Cut()
		for frame := range d.frames {
			if v, ok := frame.(*Violation); ok {
				t.Error(v)
			}
		}
	})
	return d, nil
}

func (n *node) connect(t *testing.T, o Options) *device {
	t.Helper()
	d, err := n.dial(t, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// next waits for a frame of a type, and keeps those of other types for later.
func next[F Frame](d *device) F {
	d.t.Helper()
	if i := slices.IndexFunc(d.other, func(f Frame) bool { _, ok := f.(F); return ok }); i >= 0 {
		f := d.other[i].(F)
		d.other = slices.Delete(d.other, i, i+1)
		return f
	}
	timeout := time.After(patience)
	for {
		select {
		case frame, ok := <-d.frames:
			if !ok {
				d.t.Fatalf("the connection ended: %v", d.end)
			}
			if f, ok := frame.(F); ok {
				return f
			}
			if v, ok := frame.(*Violation); ok {
				d.t.Fatal(v)
			}
			d.other = append(d.other, frame)
		case <-timeout:
			d.t.Fatalf("no %T came", *new(F))
		}
	}
}

// ended waits for the end and returns it.
func (d *device) ended() *End {
	d.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case frame, ok := <-d.frames:
			if !ok {
				return d.end
			}
			if v, ok := frame.(*Violation); ok {
				d.t.Fatal(v)
			}
		case <-timeout:
			d.t.Fatal("the connection does not end")
		}
	}
}

func (d *device) send(s Send) *Ack {
	d.t.Helper()
	if err := d.Send(s); err != nil {
		d.t.Fatal(err)
	}
	return next[*Ack](d)
}

// stored sends and wants it stored.
func (d *device) stored(s Send) *Ack {
	d.t.Helper()
	a := d.send(s)
	if a.Status != Stored || a.ID != s.ID || a.MessageID != d.MessageID(&s) {
		d.t.Fatalf("%+v is answered by %+v", s, a)
	}
	return a
}

func (d *device) page(h History) *Page {
	d.t.Helper()
	if err := d.History(h); err != nil {
		d.t.Fatal(err)
	}
	return next[*Page](d)
}
