package session

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
	"github.com/godwit-im/godwit/registry"
	"github.com/godwit-im/godwit/server/auth"
	"github.com/godwit-im/godwit/server/delivery"
	"github.com/godwit-im/godwit/server/placement"
	"github.com/godwit-im/godwit/server/tail"
)

// rig is a loop with everything around it but sockets: a log that keeps what is
// produced until the test answers, a dispatcher that takes records to the
// sessions, and a clock that the test turns.
type rig struct {
	t          *testing.T
	config     Config
	deps       Deps
	loop       *Loop
	peers      map[registry.Handle]*peer
	sends      []*sent
	refuse     error // what the producer answers instead
	lane       []*Answer
	verifying  []verifyingToken
	readings   []*Reading          // what was asked of timelines and is not answered
	log        []*backplane.Record // all records, of all partitions
	fast       bool
	dispatcher *delivery.Dispatcher
	entries    []delivery.Entry // what is in the mailbox
	hold       bool             // leave it there
	slot       int
	ready      bool
	behind     bool // what the node has not read
	degraded   bool
}

type sent struct {
	backplane.Send
	waiter backplane.Waiter
}

type verifyingToken struct {
	token  string
	answer *Answer
}

const start = 1_700_000_000_000

func newRig(t *testing.T, change ...func(*Config)) *rig {
	r := &rig{t: t, peers: map[registry.Handle]*peer{}, fast: true, ready: true}
	r.config = Config{
		Node: "n1", Body: 1000, QueueMessages: 8, QueueBytes: 10_000, InFlight: 4, Answers: 100, Readings: 50,
		UpgradeTimeout: 10 * time.Second, Heartbeat: time.Minute, Idle: 3 * time.Minute, CursorLag: 5 * time.Minute,
	}
	for _, f := range change {
		f(&r.config)
	}
	all, _ := placement.ParseRanges("0-2")
	other, _ := placement.ParseRanges("3")
	place, err := placement.New(7, 4, "n1", []placement.Node{
		{Name: "n1", URL: "ws://n1", Partitions: all}, {Name: "n2", URL: "ws://n2:8080", Partitions: other},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.deps = Deps{
		Registry: registry.New(), Producer: r, Placement: placement.NewCurrent(place), Tails: tail.NewTails(1, 4, 1, 1<<20),
		Memory: delivery.NewMemory(1 << 20), Verifier: r, Ready: func() bool { return r.ready },
		Reached: func(backplane.Partition) bool { return !r.behind }, Degraded: func() bool { return r.degraded },
		VerifyLater: func(token string, a *Answer) bool {
			r.verifying = append(r.verifying, verifyingToken{token, a})
			return true
		},
		Read: func(q *Reading) bool {
			r.readings = append(r.readings, q)
			return true
		},
	}
	r.loop = NewLoop(&r.config, &r.deps, r)
	r.at(0)
	r.dispatcher = delivery.New(delivery.Config{
		Loops: r, Registry: r.deps.Registry, Memory: r.deps.Memory, Tails: r.deps.Tails, Remember: 1 << 20, Log: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() {
		for _, p := range r.peers {
			p.s.Closed(r.loop)
		}
		if used := r.deps.Memory.Used(); used != 0 && len(r.entries) == 0 {
			t.Errorf("%d bytes of frames are left", used)
		}
		if users, connections := r.deps.Registry.Len(); users != 0 || connections != 0 {
			t.Errorf("%d users, %d connections are left in the registry", users, connections)
		}
	})
	return r
}

// Produce keeps a send until the test answers it.
func (r *rig) Produce(s *backplane.Send, w backplane.Waiter) error {
	if r.refuse != nil {
		return r.refuse
	}
	c := sent{*s, w}
	c.From, c.Value = bytes.Clone(s.From), bytes.Clone(s.Value)
	c.To = nil
	for _, u := range s.To {
		c.To = append(c.To, bytes.Clone(u))
	}
	r.sends = append(r.sends, &c)
	return nil
}

// Verify takes tokens of the form "user" or "user@expiry", in Unix seconds.
func (r *rig) Verify(token string, now time.Time) (auth.Claims, error) {
	user, expiry := token, int64(start/1000+3600)
	if u, e, ok := strings.Cut(token, "@"); ok {
		user = u
		fmt.Sscan(e, &expiry)
	}
	switch {
	case user == "":
		return auth.Claims{}, &auth.Error{Code: auth.CodeMissing, Detail: "no token"}
	case user == "bad":
		return auth.Claims{}, &auth.Error{Code: auth.CodeSignature, Detail: "bad signature"}
	case expiry <= now.Unix():
		return auth.Claims{}, &auth.Error{Code: auth.CodeExpired, Detail: "expired"}
	}
	return auth.Claims{User: user, Expires: time.Unix(expiry, 0)}, nil
}

func (r *rig) Cached(string, time.Time) (auth.Claims, bool) { return auth.Claims{}, false }
func (r *rig) Fast() bool                                   { return r.fast }

// Answer is the lane.
func (r *rig) Answer(a *Answer) { r.lane = append(r.lane, a) }

// Session finds a session; see Lane.
func (r *rig) Session(h registry.Handle) *Session {
	if p := r.peers[h&^1]; p != nil && !p.gone {
		return &p.s
	}
	return nil
}

// takeAnswers hands what is in the lane to the sessions.
func (r *rig) takeAnswers() {
	for _, a := range r.lane {
		if p := r.peers[a.Handle&^1]; p != nil {
			r.loop.Take(a, &p.s)
			p.pump()
		} else {
			r.loop.Take(a, nil)
		}
	}
	r.lane = nil
}

// answer answers the i-th send.
func (r *rig) answer(i int, o backplane.Outcome) {
	r.sends[i].waiter.Done(o)
	r.takeAnswers()
}

// Deliver is the mailbox.
func (r *rig) Deliver(_ int, e delivery.Entry, _ int64) {
	r.entries = append(r.entries, e)
	if !r.hold {
		r.takeEntries()
	}
}

func (r *rig) Len() int { return 1 }

func (r *rig) takeEntries() {
	entries := r.entries
	r.entries = nil
	for _, e := range entries {
		if e.Targets.Positions != nil {
			r.loop.Tell(e.Targets.Positions, e.Targets.Lost)
		}
		for i, h := range e.Targets.Handles {
			if p := r.peers[h&^1]; p != nil {
				p.s.Deliver(r.loop, e.Frame, i < e.Targets.Self)
				p.pump()
			} else {
				r.loop.Counters.Dropped(DropGone)
			}
		}
		e.Done()
	}
}

// record puts a message into the log, at the next offset of user's partition.
func (r *rig) record(offset int64, m *backplane.Message, session uint64, users ...string) {
	r.t.Helper()
	p := backplane.PartitionOf(users[0], 4)
	var recipients []byte
	for _, u := range users {
		recipients = backplane.AppendRecipient(recipients, []byte(u))
	}
	m.MessageID = backplane.MessageID{byte(offset), byte(offset >> 8), byte(p)}
	record := &backplane.Record{
		Position: backplane.Position{Generation: 1, Partition: p, Offset: offset},
		Time:     r.loop.Now, Value: backplane.AppendMessage(nil, m), Recipients: recipients, Session: session,
	}
	r.log = append(r.log, record)
	r.dispatcher.Record(record)
}

// work answers the first question about a timeline, out of the whole log, as far as the
// tail has come; at most most messages at a time.
func (r *rig) work(most int) {
	q := r.readings[0]
	r.readings = r.readings[1:]
	end := r.deps.Tails.End(q.Partition).Offset
	q.Examined, q.Live = max(end, q.After), true
	for _, record := range r.log {
		var m backplane.Message
		if err := backplane.ParseMessage(record.Value, &m); err != nil {
			r.t.Fatal(err)
		}
		if record.Partition != q.Partition || record.Offset <= q.After || record.Offset > end || m.Kind != backplane.KindMessage ||
			string(m.From) != q.User && !slices.ContainsFunc(m.To, func(u []byte) bool { return string(u) == q.User }) {
			continue
		}
		if q.Kind != ReadNext {
			break
		}
		if len(q.Caught) == min(most, q.Limit) {
			q.Examined, q.Live = record.Offset-1, false
			break
		}
		q.Caught = append(q.Caught, Caught{Frame: single(r, q, record, &m), Self: string(m.From) == q.User})
	}
	q.Done()
	r.takeAnswers()
}

func single(r *rig, q *Reading, record *backplane.Record, m *backplane.Message) *delivery.Frame {
	return delivery.Single(r.deps.Memory, q.Encoding, record.Position, record.Time, m, record.Value)
}

// fail answers the first question about a timeline with a code.
func (r *rig) fail(code backplane.Code) {
	q := r.readings[0]
	r.readings = r.readings[1:]
	q.Code = code
	q.Done()
	r.takeAnswers()
}

// text returns a message from one user to others.
func text(from, to, body string) *backplane.Message {
	m := &backplane.Message{From: []byte(from), ID: []byte("m-" + body), Body: []byte(body)}
	for _, u := range strings.Split(to, ",") {
		m.To = append(m.To, []byte(u))
	}
	return m
}

// at moves the clock to so many seconds after the start, and expires who is due.
func (r *rig) at(seconds int) {
	r.loop.Now = start + int64(seconds)*1000
	r.loop.Wall = time.UnixMilli(r.loop.Now)
	for _, p := range r.peers {
		if p.gone || p.s.Deadline(r.loop) > r.loop.seconds() {
			continue
		}
		if !p.s.Expire(r.loop) {
			p.gone = true
			p.s.Closed(r.loop)
			continue
		}
		p.pump()
	}
}

// peer is a client at the other end of a session.
type peer struct {
	r       *rig
	s       Session
	enc     codec.Encoding
	head    []byte // the response, once it is complete
	wire    []byte // what came and is not parsed yet
	reader  ws.Reader
	blocked bool // reads nothing
	step    int  // how many bytes the socket takes at once, 0 for all
	frames  []codec.ServerFrame
	closed  uint16 // the code of the server's close frame
	pings   int
	gone    bool // the server cut it off
}

func (r *rig) open() *peer {
	p := &peer{r: r}
	h := registry.MakeHandle(0, r.slot, 1)
	r.slot++
	r.peers[h] = p
	p.s.Open(r.loop, h)
	return p
}

// request returns a request for a connection.
func request(query string, header ...string) []byte {
	return []byte("GET /v1/connect?" + query + " HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n" +
		strings.Join(append(header, ""), "\r\n") + "\r\n")
}

func protocol(e codec.Encoding) string { return "Sec-WebSocket-Protocol: " + e.Subprotocol() }

// connect opens a session for a user and reads its welcome.
func (r *rig) connect(user string, e codec.Encoding, query ...string) *peer {
	r.t.Helper()
	p := r.open()
	p.enc = e
	p.receive(request(strings.Join(append(query, "token="+user), "&"), protocol(e)))
	if p.status() != http.StatusSwitchingProtocols {
		r.t.Fatalf("no upgrade: %s", p.head)
	}
	if w := p.next(); w.Type != codec.FrameWelcome {
		r.t.Fatalf("the first frame is a %v", w.Type)
	}
	return p
}

func (p *peer) receive(b []byte) {
	p.s.Receive(p.r.loop, bytes.Clone(b))
	p.pump()
}

// frame sends a frame of the protocol.
func (p *peer) frame(f codec.ClientFrame) {
	op := ws.Binary
	if p.enc.Text() {
		op = ws.Text
	}
	p.receive(ws.AppendMasked(nil, op, codec.AppendClientFrame(nil, p.enc, &f), [4]byte{1, 2, 3, 4}))
}

func (p *peer) send(id, to, body string) {
	f := codec.ClientFrame{Type: codec.FrameSend, Send: codec.Send{ID: []byte(id), Body: []byte(body)}}
	for _, u := range strings.Split(to, ",") {
		f.Send.To = append(f.Send.To, []byte(u))
	}
	p.frame(f)
}

// pump moves the session's output to the peer, and parses it.
func (p *peer) pump() {
	for !p.blocked && p.s.Pending() {
		out := p.s.Fill(nil, 100)
		if p.step > 0 {
			out = out[:min(p.step, len(out))]
		}
		p.wire = append(p.wire, out...)
		p.s.Wrote(p.r.loop, len(out))
	}
	if p.head == nil {
		if end := ws.HeadEnd(p.wire, 0); end > 0 {
			p.head, p.wire = p.wire[:end:end], p.wire[end:]
		}
	}
	if p.status() != http.StatusSwitchingProtocols {
		return
	}
	for {
		ev, n, ok, err := p.reader.Next(p.wire, &ws.Limits{MessageBytes: 1 << 20, Client: true})
		if err != nil {
			p.r.t.Fatalf("the server sent bad frames: %v", err)
		}
		p.wire = p.wire[n:]
		if !ok {
			return
		}
		switch ev.Op {
		case ws.Text, ws.Binary:
			if (ev.Op == ws.Text) != p.enc.Text() {
				p.r.t.Fatalf("a message of the wrong kind: %v", ev.Op)
			}
			var f codec.ServerFrame
			if err := codec.DecodeServer(p.enc, slices.Clone(ev.Payload), &f); err != nil {
				p.r.t.Fatalf("%q: %v", ev.Payload, err)
			}
			p.frames = append(p.frames, f)
		case ws.Close:
			p.closed = ev.Code
		case ws.Ping:
			p.pings++
		}
	}
}

// status returns the status of the response, 0 while there is none.
func (p *peer) status() (status int) {
	fmt.Sscanf(string(p.head), "HTTP/1.1 %d", &status)
	return status
}

// next takes the next frame that came.
func (p *peer) next() codec.ServerFrame {
	p.r.t.Helper()
	if len(p.frames) == 0 {
		p.r.t.Fatal("no frame came")
	}
	f := p.frames[0]
	p.frames = p.frames[1:]
	return f
}

// want takes the next frame, of a certain type.
func (p *peer) want(t codec.FrameType) codec.ServerFrame {
	p.r.t.Helper()
	f := p.next()
	if f.Type != t {
		p.r.t.Fatalf("got a %v (%+v), want a %v", f.Type, f.Error, t)
	}
	return f
}

// none checks that nothing has come.
func (p *peer) none() {
	p.r.t.Helper()
	if len(p.frames) > 0 {
		p.r.t.Fatalf("an unexpected %v came", p.frames[0].Type)
	}
}
