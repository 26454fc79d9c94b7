package main_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	gobwas "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/golang-jwt/jwt/v5"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// beginning is the cursor of the played node's welcome.
var beginning = string(codec.AppendCursor(nil, backplane.Position{Offset: -1}))

// playNode plays a node for the commands that connect, and returns its URL. It welcomes
// everybody as alice, says first, answers each send with what ack returns, and has what was
// sent last in its history.
func playNode(t *testing.T, first func(enc codec.Encoding) [][]byte, ack func(*codec.Send) codec.Ack) string {
	var handlers sync.WaitGroup
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handlers.Add(1)
		defer handlers.Done()
		u := gobwas.HTTPUpgrader{Protocol: func(string) bool { return true }}
		conn, _, hs, err := u.Upgrade(r, w)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		enc, _ := codec.EncodingOf(hs.Protocol)
		op := gobwas.OpBinary
		if enc.Text() {
			op = gobwas.OpText
		}
		frames := [][]byte{codec.AppendWelcome(nil, enc, &codec.Welcome{User: "alice", Node: "n1", Cursor: []byte(beginning)})}
		if first != nil {
			frames = append(frames, first(enc)...)
		}
		for _, f := range frames {
			if err := wsutil.WriteServerMessage(conn, op, f); err != nil {
				t.Error(err)
			}
		}
		stored := backplane.Message{From: []byte("alice")}
		for {
			payload, _, err := wsutil.ReadClientData(conn)
			if err != nil {
				return // the client has gone
			}
			var (
				d codec.Decoder
				f codec.ClientFrame
			)
			if err := d.Decode(enc, payload, &codec.DefaultLimits, &f); err != nil {
				t.Error(err)
				return
			}
			var answer []byte
			if f.Type == codec.FrameHistory {
				var page codec.PageWriter
				page.Open(nil, enc, f.History.ID)
				if err := page.Add(stored.From, backplane.Position{}, 1, backplane.AppendMessage(nil, &stored)); err != nil {
					t.Error(err)
				}
				answer = page.Close(&codec.PageBounds{})
			} else {
				stored.To, stored.ID, stored.Kind, stored.Body = f.Send.To, f.Send.ID, f.Send.Kind, f.Send.Body
				stored.MessageID = backplane.Identify([]byte(r.URL.Query().Get("device")), &stored)
				a := ack(&f.Send)
				a.ID = f.Send.ID
				answer = codec.AppendAck(nil, enc, &a)
			}
			if err := wsutil.WriteServerMessage(conn, op, answer); err != nil {
				t.Error(err)
			}
		}
	}))
	t.Cleanup(func() {
		server.Close()
		handlers.Wait()
	})
	return strings.Replace(server.URL, "http", "ws", 1)
}

// tokenFor returns a token for a user, which only a played node accepts.
func tokenFor(t *testing.T, user string) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{Subject: user}).SignedString([]byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// lines collects output and lets a test wait for some of it.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // a doorbell
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// await waits until the output has text in it.
func (l *lines) await(t *testing.T, text string) {
	t.Helper()
	deadline := time.After(patience)
	for !strings.Contains(l.String(), text) {
		select {
		case <-l.more:
		case <-deadline:
			t.Fatalf("%q did not come; there is:\n%s", text, l)
		}
	}
}

// run starts a command that runs until it is told to stop.
func run(t *testing.T, args ...string) (cmd *exec.Cmd, stdout, stderr *lines) {
	t.Helper()
	stdout, stderr = &lines{more: make(chan struct{}, 1)}, &lines{more: make(chan struct{}, 1)}
	cmd = exec.CommandContext(t.Context(), binary, args...)
	cmd.Dir = t.TempDir()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, stdout, stderr
}
