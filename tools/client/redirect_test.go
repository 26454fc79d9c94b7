package client

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

func TestMisdirected(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		d := took(func() {
			n.accept().refuse(http.StatusMisdirectedRequest, "not_owner: elsewhere", "Godwit-Node-Url: ws://node-2:9090/chat?zone=1")
			p := n.accept()
			if p.address != "node-2:9090" || p.request.URL.Path != "/chat" || p.request.URL.RawQuery != "device=phone&zone=1" {
				t.Errorf("dialled %s for %s", p.address, p.request.URL)
			}
			p.upgrade()
			p.welcome(codec.Welcome{})
			u.leave(p)
		})
		if d != 0 {
			t.Errorf("following took %v", d)
		}
	})
}

// A node that gives a user away says where to go and when, and goes on delivering until
// then. What is sent meanwhile waits for the other node.
func TestMoved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		old := n.welcome(codec.Welcome{Cursor: []byte(cursor(0))})
		u.told()
		told := time.Now()
		old.write(codec.AppendMoved(nil, old.enc, &codec.Moved{URL: "ws://node-2:8080", Node: "node-2", MapVersion: 8, RetryAfter: 3 * time.Second}))
		synctest.Wait()
		sent := u.send(t.Context(), hello("m1"))
		old.deliver(1, "before")
		p := n.accept()
		if p.address != "node-2:8080" || p.request.URL.Query().Get("map_version") != "8" || p.request.URL.Query().Get("cursor") != cursor(1) {
			t.Errorf("dialled %s for %s", p.address, p.request.URL)
		}
		if d := time.Since(told); d != 3*time.Second {
			t.Errorf("the client moved after %v", d)
		}
		p.upgrade()
		p.welcome(codec.Welcome{Cursor: []byte(cursor(1))})
		p.ack(p.readSend(), backplane.Stored, "")
		if r := <-sent; r.err != nil {
			t.Errorf("a send after moved returned %v", r.err)
		}
		old.goodbye()
		p.deliverAt(1, 2, fromBob("m2", "after"))
		first, second := "ws://node-1:8080/v1/connect", "ws://node-2:8080/v1/connect"
		want := []string{"message 1 before", "disconnected " + first, "connecting " + second, "connected " + second, "message 1 after"}
		if got := u.told(); !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
		// It remembers where it was led.
		p.Close()
		p = n.welcome(codec.Welcome{})
		if p.address != "node-2:8080" || p.request.URL.Query().Get("map_version") != "8" {
			t.Errorf("dialled %s for %s", p.address, p.request.URL)
		}
		u.leave(p)
	})
}

// The server may close before the time to move has come.
func TestMovedAndClosed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		p := n.accept()
		p.upgrade()
		told := time.Now()
		p.write(codec.AppendMoved(nil, p.enc, &codec.Moved{URL: "ws://node-2:8080", RetryAfter: 3 * time.Second}))
		p.closeWith(codec.CloseMoved)
		p = n.welcome(codec.Welcome{})
		if d := time.Since(told); p.address != "node-2:8080" || d != 3*time.Second {
			t.Errorf("dialled %s after %v", p.address, d)
		}
		u.leave(p)
	})
}

func TestRedirectsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		began := time.Now()
		for i := range maxRedirects + 1 {
			p := n.accept()
			if want := fmt.Sprintf("node-%d:8080", i+1); p.address != want || !time.Now().Equal(began) {
				t.Errorf("dialled %s after %v, want %s", p.address, time.Since(began), want)
			}
			p.refuse(http.StatusMisdirectedRequest, "", fmt.Sprintf("Godwit-Node-Url: ws://node-%d:8080", i+2))
		}
		if s := u.lastEnd(); s.RetryIn == 0 {
			t.Error("the client goes on without a pause")
		}
		p := n.welcome(codec.Welcome{})
		if p.address != "node-1:8080" {
			t.Errorf("dialled %s", p.address)
		}
		u.leave(p)
	})
}

func TestStableConnectionForgetsRedirects(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		redirect := func(first string) {
			for i := range maxRedirects {
				p := n.accept()
				if p.address != first && i == 0 || p.address != "node-2:8080" && i > 0 {
					t.Errorf("attempt %d went to %s", i+1, p.address)
				}
				p.refuse(http.StatusMisdirectedRequest, "", "Godwit-Node-Url: ws://node-2:8080")
			}
		}
		redirect("node-1:8080")
		p := n.welcome(codec.Welcome{})
		time.Sleep(stableAfter)
		p.Close()
		redirect("node-2:8080")
		p = n.welcome(codec.Welcome{})
		u.leave(p)
	})
}

// The last word counts, but no server can send a client away for long.
func TestMovedTwice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		p := n.welcome(codec.Welcome{Heartbeat: time.Hour})
		told := time.Now()
		p.write(codec.AppendMoved(nil, p.enc, &codec.Moved{URL: "ws://node-2:8080", RetryAfter: time.Second}))
		p.write(codec.AppendMoved(nil, p.enc, &codec.Moved{URL: "ws://node-3:8080", RetryAfter: time.Hour}))
		next := n.accept()
		if d := time.Since(told); next.address != "node-3:8080" || d != maxPause {
			t.Errorf("dialled %s after %v", next.address, d)
		}
		p.goodbye()
		u.stop()
		<-u.ran
	})
}

func TestRedirectToNowhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		n.accept().refuse(http.StatusMisdirectedRequest, "", "Godwit-Node-Url: gopher://node-2")
		p := n.welcome(codec.Welcome{})
		if p.address != "node-1:8080" || len(u.errs) != 1 {
			t.Errorf("dialled %s, after the errors %v", p.address, u.errs)
		}
		u.leave(p)
	})
}

func TestNotOwner(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer func(*peer)
		want   string
		errors int
	}{
		{"told", func(p *peer) {
			p.refuse(http.StatusOK, `{"user":"alice","partition":7,"node":"node-2","url":"ws://node-2:8080/v1/connect","map_version":9}`)
		}, "node-2:8080 9", 0},
		{"not told", func(p *peer) { p.refuse(http.StatusServiceUnavailable, "") }, "node-1:8080 ", 1},
		{"no JSON", func(p *peer) { p.refuse(http.StatusOK, "ok\n") }, "node-1:8080 ", 1},
		{"no URL", func(p *peer) { p.refuse(http.StatusOK, "{}") }, "node-1:8080 ", 1},
		{"silence", func(p *peer) {}, "node-1:8080 ", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNode(t)
				u := start(t, n, func(o *Options) { o.URLs = []string{"ws://node-1:8080/chat/v1/connect"} })
				n.welcome(codec.Welcome{User: "alice & bob"}).closeWith(codec.CloseNotOwner)
				question := n.accept()
				if question.request.Method != "GET" || question.request.URL.String() != "/chat/v1/route?user=alice+%26+bob" {
					t.Errorf("asked for %s %s", question.request.Method, question.request.URL)
				}
				test.answer(question)
				p := n.welcome(codec.Welcome{})
				if got := p.address + " " + p.request.URL.Query().Get("map_version"); got != test.want {
					t.Errorf("dialled %s, want %s", got, test.want)
				}
				synctest.Wait()
				if len(u.errs) != test.errors {
					t.Errorf("the errors are %v", u.errs)
				}
				u.leave(p)
				question.Close()
			})
		})
	}
}

func TestEndpoints(t *testing.T) {
	for _, test := range []struct{ url, address, target, route, shown string }{
		{"ws://n", "n:80", "/v1/connect?device=d", "http://n/v1/route?user=u", "ws://n/v1/connect"},
		{"wss://n/", "n:443", "/v1/connect?device=d", "https://n/v1/route?user=u", "wss://n/v1/connect"},
		{"ws://[::1]:8080/a%2Fb/v1/connect?token=x", "[::1]:8080", "/a%2Fb/v1/connect?device=d&token=x", "http://[::1]:8080/a/b/v1/route?user=u", "ws://[::1]:8080/a%2Fb/v1/connect"},
		{"ws://n/chat", "n:80", "/chat?device=d", "http://n/v1/route?user=u", "ws://n/chat"},
	} {
		e, err := parseEndpoint(test.url)
		if err != nil {
			t.Fatal(err)
		}
		got := []string{e.address(), e.target(&Options{Device: "d"}, ""), e.routeURL("u"), e.String()}
		if want := []string{test.address, test.target, test.route, test.shown}; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", test.url, got, want)
		}
	}
}

// The token goes where the client goes, so it must not leave TLS.
func TestRedirectKeepsTLS(t *testing.T) {
	for _, test := range []struct {
		from, to string
		ok       bool
	}{
		{"ws://a", "ws://b", true},
		{"ws://a", "wss://b", true},
		{"wss://a", "wss://b", true},
		{"wss://a", "ws://b", false},
	} {
		from, err := parseEndpoint(test.from)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := from.follow(&MovedError{URL: test.to}); (err == nil) != test.ok {
			t.Errorf("from %s to %s: %v", test.from, test.to, err)
		}
	}
}

// What is final is final, wherever the user is said to be.
func TestMovedAndForbidden(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		p := n.welcome(codec.Welcome{})
		p.write(codec.AppendMoved(nil, p.enc, &codec.Moved{URL: "ws://node-2:8080", RetryAfter: time.Second}))
		p.closeWith(codec.CloseForbidden)
		var closed *CloseError
		if err := <-u.ran; !errors.As(err, &closed) {
			t.Errorf("Run returned %v", err)
		}
	})
}
