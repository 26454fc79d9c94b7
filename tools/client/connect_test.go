package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gobwas "github.com/gobwas/ws"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
)

func TestConnect(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, func(o *Options) { o.Device = "Ann's phone & co" })
		p := n.accept()
		if p.address != "node-1:8080" {
			t.Errorf("dialled %s", p.address)
		}
		r := p.request
		if r.Host != "node-1:8080" || r.URL.Path != "/v1/connect" || r.URL.RawQuery != "device=Ann%27s+phone+%26+co" {
			t.Errorf("asked %s for %s", r.Host, r.URL)
		}
		if got := r.Header.Get("Authorization"); got != "Bearer secret" {
			t.Errorf("Authorization is %q", got)
		}
		if got := r.Header.Get("Sec-WebSocket-Protocol"); got != "godwit.v1.proto" {
			t.Errorf("Sec-WebSocket-Protocol is %q", got)
		}
		p.upgrade()
		p.welcome(codec.Welcome{User: "alice", Node: "node-1"})
		u.leave(p)
		want := []string{"connecting ws://node-1:8080/v1/connect", "connected ws://node-1:8080/v1/connect", "disconnected ws://node-1:8080/v1/connect"}
		if got := u.told(); !slices.Equal(got, want) {
			t.Errorf("the states were %q", got)
		}
		if s := u.lastEnd(); s.Err != nil || !s.Final {
			t.Errorf("the last was %+v", s)
		}
	})
}

func TestDeviceIsMadeOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, func(o *Options) { o.Device = "" })
		var devices []string
		for range 2 {
			p := n.accept()
			devices = append(devices, p.request.URL.Query().Get("device"))
			p.refuse(http.StatusServiceUnavailable, "")
		}
		if len(devices[0]) != 32 || devices[0] != devices[1] || devices[0] != u.Device() {
			t.Errorf("the devices were %q, and Device says %q", devices, u.Device())
		}
		u.stop()
		<-u.ran
	})
}

func TestNewRefuses(t *testing.T) {
	good := Options{URLs: []string{"ws://n"}, Token: StaticToken("t")}
	for _, test := range []struct {
		change func(*Options)
		want   string
	}{
		{func(o *Options) { o.URLs = nil }, "URLs are missing"},
		{func(o *Options) { o.URLs = []string{""} }, `the URL is ""`},
		{func(o *Options) { o.URLs = []string{"ws://n", "http://n"} }, `the URL is "http://n"`},
		{func(o *Options) { o.URLs = []string{"ws://:80"} }, `the URL is "ws://:80"`},
		{func(o *Options) { o.URLs = []string{"ws://a:secret@n"} }, `the URL is "ws://a:xxxxx@n"`},
		{func(o *Options) { o.URLs = []string{"ws://n\x00"} }, "the URL cannot be read"},
		{func(o *Options) { o.DegradedSpread = -1 }, "DegradedSpread is -1ns"},
		{func(o *Options) { o.Token = nil }, "Token is missing"},
		{func(o *Options) { o.Device = strings.Repeat("d", 65) }, "Device is"},
		{func(o *Options) { o.Device = "\xff" }, "Device is"},
		{func(o *Options) { o.Cursor = strings.Repeat("c", codec.MaxCursor+1) }, "Cursor is"},
		{func(o *Options) { o.Cursor = "\xff" }, "Cursor is"},
		{func(o *Options) { o.Start = codec.MaxStart + 1 }, "Start is 1001"},
		{func(o *Options) { o.MinBackoff = -1 }, "MinBackoff is -1ns"},
		{func(o *Options) { o.MinBackoff, o.MaxBackoff = time.Hour, time.Minute }, "MinBackoff is 1h0m0s and MaxBackoff 1m0s"},
	} {
		opts := good
		test.change(&opts)
		if _, err := New(opts); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("the error is %v, want %q in it", err, test.want)
		}
	}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
}

// A status, and what the client does then.
func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		status int
		body   string
		fatal  bool
		want   string
	}{
		{400, "bad_parameter: device: too long\n", true, "client: connection refused with status 400: bad_parameter: device: too long"},
		{403, "", true, "client: connection refused with status 403 Forbidden"},
		{404, "<html>\x1b[31m no \nsuch thing", true, "client: connection refused with status 404: <html>[31m no "},
		{426, "Upgrade: needed", true, "client: connection refused with status 426: Upgrade: needed"},
		{429, "", false, "client: connection refused with status 429 Too Many Requests"},
		{503, "overloaded: not ready", false, "client: connection refused with status 503: overloaded: not ready"},
		{502, "", false, "client: connection refused with status 502 Bad Gateway"},
	} {
		t.Run(fmt.Sprint(test.status), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNode(t)
				u := start(t, n, nil)
				n.accept().refuse(test.status, test.body)
				s := u.lastEnd()
				var refused *RefusedError
				if !errors.As(s.Err, &refused) || refused.Status != test.status || s.Err.Error() != test.want {
					t.Errorf("the error is %v, want %s", s.Err, test.want)
				}
				if s.Final != test.fatal {
					t.Errorf("final is %v", s.Final)
				}
				if !test.fatal {
					n.accept()
					u.stop()
				}
				if err := <-u.ran; test.fatal && err != s.Err || !test.fatal && err != nil {
					t.Errorf("Run returned %v", err)
				}
			})
		})
	}
}

func TestRetryAfter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		for _, test := range []struct {
			field string
			want  time.Duration
		}{
			{"7", 7 * time.Second},
			{time.Now().Add(20 * time.Second).UTC().Format(http.TimeFormat), 20 * time.Second},
			{"86400", maxPause},
			{"soon", 0},
		} {
			n.accept().refuse(http.StatusServiceUnavailable, "", "Retry-After: "+test.field)
			// The date of the table counts from its making.
			if s := u.lastEnd(); s.RetryIn > test.want+defaultMaxBackoff || s.RetryIn < test.want-10*time.Second {
				t.Errorf("after Retry-After: %s the client waits %v", test.field, s.RetryIn)
			}
		}
		u.stop()
		<-u.ran
	})
}

func TestCloseCodes(t *testing.T) {
	for code, want := range map[codec.CloseCode]verdict{
		1000: retry, 1001: elsewhere, 1009: retry, 1011: retry, 1012: elsewhere, 1013: elsewhere, 3000: retry,
		4000: giveUp, 4001: giveUp, 4003: giveUp, 4008: giveUp, 4099: giveUp,
		4100: retry, 4101: retry, 4102: newToken, 4199: retry,
		4200: askRoute, 4201: askRoute, 4299: askRoute, 4300: retry,
	} {
		if got := classify(fmt.Errorf("wrapped: %w", &CloseError{Code: code})); got != want {
			t.Errorf("the verdict on %d is %d, want %d", code, got, want)
		}
	}
	for _, code := range []codec.CloseCode{codec.CloseForbidden, codec.CloseSlow, codec.CloseTryAgainLater} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNode(t)
				u := start(t, n, nil)
				p := n.welcome(codec.Welcome{})
				p.fail("some_code", "text")
				p.closeWith(code)
				s := u.lastEnd()
				var closed *CloseError
				if !errors.As(s.Err, &closed) || closed.Code != code || closed.Reason != "because" || closed.Cause != "some_code" {
					t.Errorf("the error is %v", s.Err)
				}
				if code == codec.CloseForbidden {
					if err := <-u.ran; err != s.Err || !s.Final {
						t.Errorf("Run returned %v", err)
					}
					return
				}
				if code == codec.CloseTryAgainLater && s.RetryIn < busyPause {
					t.Errorf("the client waits %v", s.RetryIn)
				}
				u.leave(n.welcome(codec.Welcome{}))
			})
		})
	}
}

func TestErrorsArePrintable(t *testing.T) {
	const nasty = "a\x1b[2J\u202eb\nc"
	for _, err := range []error{
		&CloseError{Code: 4000, Reason: nasty},
		&CloseError{Code: 4000, Cause: nasty},
		&ServerError{Code: nasty, Message: nasty},
		&ServerError{Code: "code", Message: nasty},
		&RejectedError{ID: nasty, Code: nasty},
		&UnknownError{ID: nasty, Code: nasty, Err: errWindowOver},
		&MovedError{URL: nasty},
		refusal(&ws.StatusError{Status: 400, Body: nasty}),
	} {
		if text := err.Error(); printable(text) != text || !strings.Contains(text, "a") {
			t.Errorf("%T prints %q", err, text)
		}
	}
}

func TestBackoff(t *testing.T) {
	b := backoff{min: time.Second, max: 10 * time.Second}
	for range 3 {
		var longest [6]time.Duration
		for range 1000 {
			b.bound = 0
			for i := range longest {
				longest[i] = max(longest[i], b.next())
			}
		}
		for i, bound := range []time.Duration{1, 2, 4, 8, 10, 10} {
			if bound *= time.Second; longest[i] > bound || longest[i] < bound*9/10 {
				t.Errorf("the longest pause after failure %d was %v of %v", i+1, longest[i], bound)
			}
		}
	}
}

func TestStableConnectionForgetsFailures(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		for range 10 {
			(<-n.peers).Close()
		}
		p := n.welcome(codec.Welcome{})
		time.Sleep(stableAfter)
		p.Close()
		if s := u.lastEnd(); s.RetryIn > defaultMinBackoff {
			t.Errorf("after a stable connection the client waits %v", s.RetryIn)
		}
		u.leave(n.welcome(codec.Welcome{}))
	})
}

func TestTokens(t *testing.T) {
	t.Run("401", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			n := newNode(t)
			tokens := []string{"one", "two", "two"}
			u := start(t, n, func(o *Options) {
				o.Token = func(context.Context) (string, error) {
					token := tokens[0]
					tokens = tokens[1:]
					return token, nil
				}
			})
			for _, token := range []string{"one", "two"} {
				p := n.accept()
				if got := p.request.Header.Get("Authorization"); got != "Bearer "+token {
					t.Errorf("the token is %s, want %s", got, token)
				}
				p.refuse(http.StatusUnauthorized, "unauthorized: no")
			}
			err := <-u.ran
			var refused *RefusedError
			if !errors.As(err, &refused) || refused.Status != 401 || refused.Code != codec.CodeUnauthorized {
				t.Errorf("Run returned %v", err)
			}
			if r := <-u.send(t.Context(), hello("")); !errors.Is(r.err, ErrClosed) || !errors.As(r.err, &refused) {
				t.Errorf("Send returned %v", r.err)
			}
		})
	})
	t.Run("expired", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			n := newNode(t)
			calls := 0
			u := start(t, n, func(o *Options) {
				o.Token = func(context.Context) (string, error) {
					calls++
					if calls == 2 {
						return "", errors.New("no network")
					}
					return fmt.Sprint("token-", calls), nil
				}
			})
			n.welcome(codec.Welcome{}).closeWith(codec.CloseTokenExpired)
			p := n.welcome(codec.Welcome{})
			if got := p.request.Header.Get("Authorization"); got != "Bearer token-3" {
				t.Errorf("the token is %s", got)
			}
			var token *TokenError
			if s := u.lastEnd(); !errors.As(s.Err, &token) {
				t.Errorf("the last error is %v, want that of Token", s.Err)
			}
			u.leave(p)
		})
	})
	t.Run("expired and static", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			n := newNode(t)
			u := start(t, n, nil)
			n.welcome(codec.Welcome{}).closeWith(codec.CloseTokenExpired)
			var closed *CloseError
			if err := <-u.ran; !errors.As(err, &closed) || closed.Code != codec.CloseTokenExpired {
				t.Errorf("Run returned %v", err)
			}
		})
	})
}

func TestRefresh(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		token := "one"
		var tokenErr error
		u := start(t, n, func(o *Options) {
			o.Token = func(context.Context) (string, error) { return token, tokenErr }
		})
		p := n.welcome(codec.Welcome{})
		synctest.Wait()
		if err := u.Refresh(t.Context()); err != nil { // the token is the one in use
			t.Error(err)
		}
		token = "two"
		if err := u.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
		if f := p.read(); f.Type != codec.FrameRefresh || string(f.Token) != "two" {
			t.Errorf("the frame is %+v", f)
		}
		u.told()
		p.fail(codec.CodeUnauthorized, "the token is of another user")
		if got := u.told(); !slices.Equal(got, []string{"error"}) {
			t.Errorf("told %q", got)
		}
		var server *ServerError
		if !errors.As(u.errs[0], &server) || server.Code != codec.CodeUnauthorized {
			t.Errorf("the error is %v", u.errs[0])
		}
		tokenErr = errors.New("no network")
		if err := u.Refresh(t.Context()); !errors.Is(err, tokenErr) {
			t.Errorf("Refresh returned %v", err)
		}
		tokenErr = nil
		// What expires now is the token of the refresh: the same again is of no use.
		p.closeWith(codec.CloseTokenExpired)
		if err := <-u.ran; err == nil {
			t.Error("Run went on with an expired token")
		}
		if err := u.Refresh(t.Context()); err != nil && !errors.Is(err, ErrClosed) {
			t.Errorf("Refresh returned %v", err)
		}
	})
}

func TestNoWelcome(t *testing.T) {
	for _, test := range []struct {
		name string
		part func(*peer)
		want string
	}{
		{"silence", func(p *peer) {}, "client: not connected in time: context deadline exceeded"},
		{"silence after the upgrade", func(p *peer) { p.upgrade() }, "client: not connected in time: context deadline exceeded"},
		{"half an answer", func(p *peer) { p.print("HTTP/1.1 101 Swi"); p.Close() }, "EOF"},
		{"no HTTP", func(p *peer) { p.print("SSH-2.0-OpenSSH\r\n\r\n") }, "client: the server broke the protocol: ws: bad handshake response: malformed_response"},
		{"an endless head", func(p *peer) {
			fmt.Fprint(p, "HTTP/1.1 200 OK\r\nX: ", strings.Repeat("x", 1<<20))
		}, "client: the server broke the protocol: the head of the response is too long"},
		{"another frame", func(p *peer) { p.upgrade(); p.deliver(1, "hi") }, "client: the server broke the protocol: deliver before the welcome"},
		{"an error and a close", func(p *peer) {
			p.upgrade()
			p.fail(backplane.CodeShutdown, "stopping")
			p.closeWith(codec.CloseRestart)
		}, "client: the server closed the connection with code 1012: shutting_down: because"},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNode(t)
				u := start(t, n, nil)
				p := n.accept()
				go test.part(p)
				n.accept() // the next attempt
				if s := u.lastEnd(); s.Err.Error() != test.want {
					t.Errorf("the error is %v, want %s", s.Err, test.want)
				}
				u.stop()
				if err := <-u.ran; err != nil {
					t.Errorf("Run returned %v", err)
				}
				p.Close()
			})
		})
	}
}

func TestDialFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		no := errors.New("no route to host")
		u := start(t, newNode(t), func(o *Options) {
			o.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, no }
		})
		if s := u.lastEnd(); !errors.Is(s.Err, no) || s.Final {
			t.Errorf("the state is %+v", s)
		}
		u.stop()
		<-u.ran
	})
}

// The end of the context ends every phase of a connection, and leaves nothing behind.
func TestRunEnds(t *testing.T) {
	for _, test := range []struct {
		name string
		part func(n *node)
		most time.Duration
	}{
		{"while dialling", func(n *node) {}, 0},
		{"during the handshake", func(n *node) { n.accept() }, 0},
		{"before the welcome", func(n *node) { n.accept().upgrade() }, 0},
		{"while waiting", func(n *node) { n.accept().refuse(503, "", "Retry-After: 50") }, 0},
		{"on a server that does not answer", func(n *node) { n.welcome(codec.Welcome{}) }, closeTimeout},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNode(t)
				u := start(t, n, nil)
				test.part(n)
				synctest.Wait()
				d := took(func() {
					u.stop()
					if err := <-u.ran; err != nil {
						t.Errorf("Run returned %v", err)
					}
				})
				if d > test.most {
					t.Errorf("Run returned after %v", d)
				}
			})
		})
	}
}

// What is under way when Run is to end has a moment to be answered.
func TestRunAwaitsAnswers(t *testing.T) {
	for _, test := range []struct {
		name     string
		answered bool
	}{{"that come", true}, {"that do not", false}} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNode(t)
				u := start(t, n, nil)
				p := n.welcome(codec.Welcome{})
				sent := u.send(t.Context(), hello("m1"))
				p.readSend()
				asked := u.history(t.Context(), Query{})
				id := p.readHistory().ID
				u.told()
				u.stop()
				synctest.Wait()
				late := u.send(t.Context(), hello("m2"))
				synctest.Wait()
				p.deliver(1, "comes too late, and again in the next run")
				time.Sleep(partTimeout - time.Millisecond)
				if test.answered {
					p.ack("m1", backplane.Stored, "")
					p.page(id, codec.PageBounds{}, 0)
				}
				if d := took(p.goodbye); test.answered && d > 0 || !test.answered && d != time.Millisecond {
					t.Errorf("the client left after another %v", d)
				}
				r, page := <-sent, <-asked
				if err := <-u.ran; err != nil {
					t.Errorf("Run returned %v", err)
				}
				if r := <-late; !errors.Is(r.err, ErrClosed) {
					t.Errorf("Send returned %v", r.err)
				}
				var unknown *UnknownError
				if test.answered && (r.err != nil || page.err != nil) || !test.answered && (!errors.As(r.err, &unknown) || !errors.Is(page.err, ErrClosed)) {
					t.Errorf("Send returned %v, History %v", r.err, page.err)
				}
				if told := u.told(); slices.ContainsFunc(told, func(e string) bool { return strings.HasPrefix(e, "message") }) || u.Cursor() != "" {
					t.Errorf("told %q, the cursor is %q", told, u.Cursor())
				}
			})
		})
	}
}

// What was received is handed over before Run returns.
func TestRunAwaitsCallbacks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		messages := 0
		u := start(t, n, func(o *Options) {
			o.OnMessage = func(Message) {
				time.Sleep(time.Second)
				messages++
			}
		})
		p := n.welcome(codec.Welcome{})
		for i := range uint64(10) {
			p.deliver(i+1, "hi")
		}
		u.leave(p)
		if messages != 10 {
			t.Errorf("Run returned after %d of 10 messages", messages)
		}
	})
}

// A server that pings gets its pong, and a client that reads nothing of use is no trouble.
func TestPingOfTheServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		p := n.welcome(codec.Welcome{})
		p.writeFrame(gobwas.NewPingFrame([]byte("are you there")))
		f, err := p.readFrame()
		if err != nil || f.Header.OpCode != gobwas.OpPong || string(f.Payload) != "are you there" {
			t.Errorf("the answer is %+v, %v", f, err)
		}
		u.leave(p)
	})
}
