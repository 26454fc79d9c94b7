package session

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
)

func both(t *testing.T, f func(t *testing.T, e codec.Encoding)) {
	for _, e := range []codec.Encoding{codec.JSON, codec.Proto} {
		t.Run(e.String(), func(t *testing.T) { f(t, e) })
	}
}

func TestWelcome(t *testing.T) {
	both(t, func(t *testing.T, e codec.Encoding) {
		r := newRig(t)
		r.record(4, text("x", "alice", "before"), 0, "alice")
		p := r.open()
		p.enc = e
		p.receive(request("token=alice&device=phone&start=live&overflow=gap", protocol(e)))
		w := p.want(codec.FrameWelcome).Welcome
		pos, err := codec.ParseCursor(w.Cursor)
		want := backplane.Position{Generation: 1, Partition: backplane.PartitionOf("alice", 4), Offset: 4}
		if err != nil || pos != want {
			t.Errorf("cursor %v (%v), want %v", pos, err, want)
		}
		if w.User != "alice" || w.Node != "n1" || w.MapVersion != 7 || w.Resumed || w.Session != p.s.id ||
			w.Heartbeat != time.Minute || w.Limits != r.config.welcomeLimits() {
			t.Errorf("welcome is %+v", w)
		}
		if !bytes.Contains(p.head, []byte("Sec-WebSocket-Protocol: "+e.Subprotocol()+"\r\n")) {
			t.Errorf("the response echoes another protocol:\n%s", p.head)
		}
	})
}

// TestWhereTheToken tries the places where a token may stand.
func TestWhereTheToken(t *testing.T) {
	for name, req := range map[string][]byte{
		"query":       request("token=alice", protocol(codec.JSON)),
		"header":      request("", protocol(codec.JSON), "Authorization: Bearer alice"),
		"subprotocol": request("", protocol(codec.JSON)+", bearer.alice"),
		"encoded":     request("token=%61lice", protocol(codec.JSON)),
	} {
		t.Run(name, func(t *testing.T) {
			p := newRig(t).open()
			p.receive(req)
			if w := p.want(codec.FrameWelcome).Welcome; w.User != "alice" {
				t.Errorf("welcomed as %q", w.User)
			}
		})
	}
}

// elsewhere is a user of partition 3, which the other node owns.
func elsewhere() string {
	for i := 0; ; i++ {
		if u := fmt.Sprintf("u%d", i); backplane.PartitionOf(u, 4) == 3 {
			return u
		}
	}
}

func TestRefusals(t *testing.T) {
	json := protocol(codec.JSON)
	for _, tt := range []struct {
		name    string
		request []byte
		status  int
		text    string // in the response
		close   uint16 // to a browser; 0 where the request is no upgrade at all
		code    backplane.Code
	}{
		{"no token", request("", json), 401, "unauthorized: token_missing", 4001, "unauthorized"},
		{"bad token", request("token=bad", json), 401, "token_signature", 4001, "unauthorized"},
		{"expired token", request("token=alice@5", json), 401, "token_expired", 4102, "token_expired"},
		{"not the owner", request("token="+elsewhere(), json), 421, "Godwit-Node-Url: ws://n2:8080\r\n", 4201, "not_owner"},
		{"no protocol", request("token=alice"), 400, "godwit.v1.json and godwit.v1.proto", 4000, "bad_parameter"},
		{"unknown protocol", request("token=alice", "Sec-WebSocket-Protocol: mqtt"), 400, "bad_parameter", 4000, "bad_parameter"},
		{"long device", request("token=alice&device="+strings.Repeat("d", 65), json), 400, "device", 4000, "bad_parameter"},
		{"device not UTF-8", request("token=alice&device=%ff", json), 400, "device", 4000, "bad_parameter"},
		{"overflow", request("token=alice&overflow=block", json), 400, "overflow", 4000, "bad_parameter"},
		{"start", request("token=alice&start=last:0", json), 400, "start", 4000, "bad_parameter"},
		{"cursor", request("token=alice&cursor=AAA", json), 400, "cursor", 4000, "bad_cursor"},
		{"no upgrade", []byte("GET /v1/connect HTTP/1.1\r\nHost: h\r\n\r\n"), 426, "Upgrade: websocket", 0, ""},
		{"old version", bytes.Replace(request("token=alice", json), []byte("Version: 13"), []byte("Version: 8"), 1), 426, "", 0, ""},
		{"bad key", bytes.Replace(request("token=alice", json), []byte("AAAA=="), []byte("A"), 1), 400, "", 0, ""},
		{"wrong path", []byte("GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n"), 404, "/v1/connect", 0, ""},
		{"wrong method", []byte("POST /healthz HTTP/1.1\r\nHost: h\r\n\r\n"), 405, "Allow: GET", 0, ""},
		{"upgrade by POST", bytes.Replace(request("token=alice", json), []byte("GET"), []byte("POST"), 1), 405, "", 0, ""},
		{"no HTTP", []byte("\x16\x03\x01\x00\r\n\r\n"), 400, "", 0, ""},
		{"long head", request("token=alice", json, "X: "+strings.Repeat("x", ws.MaxHead)), 431, "", 0, ""},
		{"endless head", bytes.Repeat([]byte("x"), ws.MaxHead), 431, "", 0, ""},
		{"route of nobody", []byte("GET /v1/route HTTP/1.1\r\nHost: h\r\n\r\n"), 400, "Access-Control-Allow-Origin: *", 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			p := r.open()
			p.receive(tt.request)
			if p.status() != tt.status || !strings.Contains(string(p.head)+string(p.wire), tt.text) {
				t.Errorf("answered %s%s\nwant status %d with %q", p.head, p.wire, tt.status, tt.text)
			}
			if p.s.End() != Linger || p.s.Pending() {
				t.Error("the connection does not end")
			}
			p.receive([]byte("more")) // is for nobody
			refused := uint64(0)
			for i := range RefusalReasons() {
				refused += r.loop.Counters.Refusal(i)
			}
			if refused != 1 {
				t.Errorf("%d refusals were counted", refused)
			}
		})
		if tt.close == 0 {
			continue
		}
		t.Run(tt.name+" in a browser", func(t *testing.T) {
			p := newRig(t).open()
			p.receive(bytes.Replace(tt.request, []byte("Host: h"), []byte("Host: h\r\nOrigin: http://page"), 1))
			if p.status() != http.StatusSwitchingProtocols {
				t.Fatalf("answered %s", p.head)
			}
			if tt.status == http.StatusMisdirectedRequest {
				if m := p.want(codec.FrameMoved).Moved; m.URL != "ws://n2:8080" || m.Node != "n2" || m.MapVersion != 7 {
					t.Errorf("moved is %+v", m)
				}
			}
			if e := p.want(codec.FrameError).Error; e.Code != tt.code {
				t.Errorf("error %v, want %v", e.Code, tt.code)
			}
			if p.closed != tt.close {
				t.Errorf("close code %d, want %d", p.closed, tt.close)
			}
		})
	}
}

func TestNotReadyAndDraining(t *testing.T) {
	r := newRig(t)
	r.ready = false
	p := r.open()
	p.receive(request("token=alice", protocol(codec.JSON)))
	if p.status() != 503 || !bytes.Contains(p.head, []byte("Retry-After: 1")) {
		t.Errorf("not ready: %s", p.head)
	}
	r.ready = true
	r.loop.Drain()
	p = r.open()
	p.receive(request("token=alice", protocol(codec.JSON), "Origin: http://page"))
	if e := p.want(codec.FrameError).Error; e.Code != backplane.CodeShutdown || p.closed != 1012 {
		t.Errorf("draining: %+v, close %d", e, p.closed)
	}
}

func TestPlainRequests(t *testing.T) {
	p := newRig(t).open()
	p.receive([]byte("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"))
	if p.status() != 200 {
		t.Errorf("health: %s", p.head)
	}
	p = newRig(t).open()
	p.receive([]byte("GET /v1/route?user=" + elsewhere() + " HTTP/1.1\r\nHost: h\r\n\r\n"))
	want := fmt.Sprintf(`{"user":%q,"partition":3,"node":"n2","url":"ws://n2:8080","map_version":7}`, elsewhere())
	if p.status() != 200 || string(p.wire) != want {
		t.Errorf("route: %s%s", p.head, p.wire)
	}
}

// TestSplit holds a whole conversation with input and output cut at every byte.
func TestSplit(t *testing.T) {
	both(t, func(t *testing.T, e codec.Encoding) {
		r := newRig(t)
		p := r.open()
		p.enc, p.step = e, 1
		op := ws.Binary
		if e.Text() {
			op = ws.Text
		}
		send := codec.AppendClientFrame(nil, e, &codec.ClientFrame{Type: codec.FrameSend,
			Send: codec.Send{ID: []byte("m1"), To: [][]byte{[]byte("bob")}, Body: []byte("héllo")}})
		all := request("token=alice", protocol(e))
		all = ws.AppendMasked(all, op, send, [4]byte{9, 8, 7, 6})
		all = ws.AppendMaskedClose(all, 1000, "bye", [4]byte{1, 2, 3, 4})
		for _, b := range all {
			p.receive([]byte{b})
			if len(r.sends) == 1 && len(r.lane) == 0 && p.s.producing == 1 {
				r.answer(0, backplane.Outcome{Status: backplane.Stored, Time: 5})
				r.record(0, text("bob", "alice", "re"), 0, "alice")
			}
		}
		p.want(codec.FrameWelcome)
		if a := p.want(codec.FrameAck).Ack; string(a.ID) != "m1" || a.Status != backplane.Stored || a.Time != 5 {
			t.Errorf("ack %+v", a)
		}
		if d := p.want(codec.FrameDeliver).Deliver; string(d.Message.Body) != "re" || d.Seq != 1 {
			t.Errorf("delivery %+v", d)
		}
		if p.closed != 1000 || p.s.End() != Hangup {
			t.Errorf("closed with %d, end %v", p.closed, p.s.End())
		}
	})
}

// TestSlowTokens verifies off the loop: what the client sends meanwhile is kept.
func TestSlowTokens(t *testing.T) {
	r := newRig(t)
	r.fast = false
	p := r.open()
	req := request("token=alice", protocol(codec.JSON))
	p.receive(req[:20])
	p.receive(append(req[20:], ws.AppendMasked(nil, ws.Text, []byte(`{"type":`), [4]byte{})[:8]...))
	p.receive(ws.AppendMasked(nil, ws.Text, []byte(`{"type":`), [4]byte{})[8:])
	p.receive(ws.AppendMasked(nil, ws.Text, []byte(`{"type":"ping"}`), [4]byte{}))
	if p.head != nil || len(r.verifying) != 1 || r.verifying[0].token != "alice" {
		t.Fatalf("answered %s before the token was verified (%v)", p.head, r.verifying)
	}
	r.verifying[0].answer.Verified(r.Verify("alice", r.loop.Wall))
	r.takeAnswers()
	p.want(codec.FrameWelcome)
	p.want(codec.FrameError) // the broken frame
	p.want(codec.FramePong)

	q := r.open()
	q.receive(request("token=bad", protocol(codec.JSON)))
	r.verifying[1].answer.Verified(r.Verify("bad", r.loop.Wall))
	r.takeAnswers()
	if q.status() != 401 {
		t.Errorf("bad token: %s", q.head)
	}

	gone := r.open()
	gone.receive(request("token=alice", protocol(codec.JSON)))
	gone.s.Closed(r.loop)
	delete(r.peers, gone.s.handle)
	r.verifying[2].answer.Verified(r.Verify("alice", r.loop.Wall))
	r.takeAnswers()
	if r.loop.Waiting() != 0 {
		t.Errorf("%d credits are out", r.loop.Waiting())
	}

	p.frame(codec.ClientFrame{Type: codec.FrameRefresh, Token: []byte("bob")})
	r.verifying[3].answer.Verified(r.Verify("bob", r.loop.Wall))
	r.takeAnswers()
	if e := p.want(codec.FrameError).Error; e.Code != codec.CodeUnauthorized {
		t.Errorf("refresh by another user: %+v", e)
	}
	flood := r.open()
	flood.receive(request("token=alice", protocol(codec.JSON)))
	for range 3 {
		flood.receive(make([]byte, 60<<10))
	}
	if flood.status() != 413 {
		t.Errorf("a flood before the welcome: %s", flood.head)
	}
}

func TestRefreshAndExpiry(t *testing.T) {
	r := newRig(t)
	p := r.connect("alice@1700000060", codec.JSON)
	r.at(59)
	p.frame(codec.ClientFrame{Type: codec.FrameRefresh, Token: []byte("alice@1700000120")})
	r.at(119)
	p.none()
	p.frame(codec.ClientFrame{Type: codec.FrameRefresh, Token: []byte("bad")})
	if e := p.want(codec.FrameError).Error; e.Code != codec.CodeUnauthorized {
		t.Errorf("bad refresh: %+v", e)
	}
	r.at(120)
	if e := p.want(codec.FrameError).Error; e.Code != codec.CodeTokenExpired || p.closed != 4102 {
		t.Errorf("%+v, closed with %d", e, p.closed)
	}
}

// TestExpiryRoundsUp: a session does not end before its token does, at any fraction of a
// second.
func TestExpiryRoundsUp(t *testing.T) {
	for _, ms := range []int64{0, 1, 500, 999} {
		r := newRig(t)
		r.loop.Now += ms
		r.loop.Wall = r.loop.Wall.Add(time.Duration(ms+300) * time.Millisecond)
		p := r.connect("alice@1700000002", codec.JSON)
		ends := r.loop.Now + 2000 - (ms + 300)
		if at := int64(p.s.deadline) * 1000; at < ends || at >= ends+1000 {
			t.Errorf("%d ms into a second: the session ends at %d, its token at %d", ms, at, ends)
		}
	}
}

func TestTimeouts(t *testing.T) {
	r := newRig(t)
	silent, half := r.open(), r.open()
	half.receive([]byte("GET /"))
	r.at(9)
	if silent.gone || half.gone {
		t.Fatal("cut off too early")
	}
	r.at(10)
	if !silent.gone || !half.gone {
		t.Error("an upgrade may take for ever")
	}

	// Idle: pinged, answers; pinged, does not answer.
	p := r.connect("alice", codec.Proto)
	for i := 10; p.pings == 0 && i < 300; i++ {
		r.at(i)
	}
	p.receive(ws.AppendMasked(nil, ws.Pong, nil, [4]byte{}))
	if p.pings != 1 {
		t.Fatalf("%d pings", p.pings)
	}
	at := int(r.loop.Now-start) / 1000
	for ; p.pings == 1 && at < 600; at++ {
		r.at(at)
	}
	r.at(at + 28)
	if p.gone || p.pings != 2 {
		t.Errorf("gone %v, %d pings", p.gone, p.pings)
	}
	r.at(at + 30)
	if !p.gone {
		t.Error("a client that does not answer pings stays")
	}
}

func TestPingAndPong(t *testing.T) {
	both(t, func(t *testing.T, e codec.Encoding) {
		p := newRig(t).connect("alice", e)
		p.frame(codec.ClientFrame{Type: codec.FramePing})
		p.want(codec.FramePong)
		p.receive(ws.AppendMasked(nil, ws.Ping, []byte("x"), [4]byte{}))
		p.receive(ws.AppendMasked(nil, ws.Pong, nil, [4]byte{}))
		p.none()
		if p.s.answers != 0 {
			t.Errorf("%d answers are outstanding", p.s.answers)
		}
	})
}

// TestBadFrames sends what a Decoder or a Reader refuses; the rest of the errors
// are their packages' tests.
func TestBadFrames(t *testing.T) {
	frame := func(op ws.Op, s string) []byte { return ws.AppendMasked(nil, op, []byte(s), [4]byte{5, 6, 7, 8}) }
	for _, tt := range []struct {
		name  string
		bytes []byte
		ack   backplane.Code // answered by an ack
		err   backplane.Code // answered by an error
		close uint16
	}{
		{"not JSON", frame(ws.Text, "hi"), "", "bad_frame", 0},
		{"unknown type", frame(ws.Text, `{"type":"sing"}`), "", "unknown_type", 0},
		{"unknown field", frame(ws.Text, `{"type":"send","id":"1","to":["b"],"x":1}`), "unknown_field", "", 0},
		{"empty id", frame(ws.Text, `{"type":"send","id":"","to":["b"]}`), "", "bad_id", 0},
		{"to nobody", frame(ws.Text, `{"type":"send","id":"1"}`), "no_recipients", "", 0},
		{"to oneself", frame(ws.Text, `{"type":"send","id":"1","to":["alice"]}`), "recipient_is_sender", "", 0},
		{"binary", frame(ws.Binary, `{"type":"ping"}`), "", "bad_frame", 0},
		{"body too large", frame(ws.Text, `{"type":"send","id":"1","to":["b"],"body":"`+strings.Repeat("x", 1001)+`"}`), "body_too_large", "", 0},
		{"not UTF-8", frame(ws.Text, "\xff"), "", "", 1007},
		{"unmasked", ws.AppendFrame(nil, ws.Text, []byte("x")), "", "", 1002},
		{"too large", frame(ws.Text, strings.Repeat(" ", 1<<20)), "", "", 1009},
		{"reserved bits", []byte{0xf1, 0x80, 0, 0, 0, 0}, "", "", 1002},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			other := r.connect("bob", codec.JSON)
			p := r.connect("alice", codec.JSON)
			p.receive(tt.bytes)
			switch {
			case tt.ack != "":
				if a := p.want(codec.FrameAck).Ack; a.Status != backplane.Rejected || a.Code != tt.ack || string(a.ID) != "1" {
					t.Errorf("ack %+v", a)
				}
			case tt.err != "":
				if e := p.want(codec.FrameError).Error; e.Code != tt.err {
					t.Errorf("error %+v", e)
				}
			}
			if p.closed != tt.close {
				t.Errorf("closed with %d, want %d", p.closed, tt.close)
			}
			if tt.close == 0 { // it goes on
				p.frame(codec.ClientFrame{Type: codec.FramePing})
				p.want(codec.FramePong)
			}
			other.frame(codec.ClientFrame{Type: codec.FramePing})
			other.want(codec.FramePong)
			if len(r.sends) != 0 {
				t.Error("something was sent")
			}
		})
	}
}

func TestCloseHandshake(t *testing.T) {
	r := newRig(t)
	p := r.connect("alice", codec.JSON)
	r.record(0, text("x", "alice", "last"), 0, "alice")
	p.blocked = true
	r.record(1, text("x", "alice", "later"), 0, "alice")
	p.s.Drain(r.loop)
	if p.s.End() != Stay {
		t.Error("the client's close is not awaited")
	}
	r.record(2, text("x", "alice", "too late"), 0, "alice")
	p.blocked = false
	p.pump()
	p.want(codec.FrameDeliver)
	p.want(codec.FrameDeliver)
	if e := p.want(codec.FrameError).Error; e.Code != backplane.CodeShutdown || p.closed != 1012 {
		t.Errorf("%+v, closed with %d", e, p.closed)
	}
	p.frame(codec.ClientFrame{Type: codec.FramePing})
	p.none()
	p.receive(ws.AppendMaskedClose(nil, 1012, "", [4]byte{}))
	if p.s.End() != Hangup || p.s.Pending() {
		t.Errorf("end %v", p.s.End())
	}

	stubborn := r.connect("bob", codec.JSON)
	stubborn.s.Drain(r.loop)
	r.at(4)
	if stubborn.gone {
		t.Error("no time for the handshake")
	}
	r.at(5)
	if !stubborn.gone {
		t.Error("a close is awaited for ever")
	}
}

func TestSessionIsSmall(t *testing.T) {
	// A million of them: each 8 bytes more are 8 MB.
	if size := unsafe.Sizeof(Session{}); size > 136 {
		t.Errorf("a session has %d bytes", size)
	}
}
