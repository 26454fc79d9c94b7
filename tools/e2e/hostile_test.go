package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
	"github.com/godwit-im/godwit/server/auth"
)

// chat is two good clients that talk all the time, each message in answer to the one
// before.
type chat struct {
	alice, bob *device
	stop       chan struct{}
	done       sync.WaitGroup
	mu         sync.Mutex
	rounds     int
}

func newChat(t *testing.T, n *node) *chat {
	c := &chat{
		alice: connect(t, n, "alice", options{device: "chat", encoding: codec.JSON}),
		bob:   connect(t, n, "bob", options{device: "chat", encoding: codec.Proto}),
		stop:  make(chan struct{}),
	}
	c.done.Go(func() {
		for i := 1; ; i++ {
			select {
			case <-c.stop:
				return
			default:
			}
			id := fmt.Sprint("chat", i)
			c.alice.store(id, "ping", "bob")
			c.bob.got(2*i - 1)
			c.bob.store(id, "pong", "alice")
			c.alice.got(2 * i)
			c.mu.Lock()
			c.rounds = i
			c.mu.Unlock()
		}
	})
	t.Cleanup(func() { c.end() })
	return c
}

func (c *chat) end() {
	select {
	case <-c.stop:
	default:
		close(c.stop)
	}
	c.done.Wait()
}

// unharmed waits for another round of the chat.
func (c *chat) unharmed(t *testing.T) {
	t.Helper()
	count := func() int {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.rounds
	}
	before := count()
	eventually(t, "the good clients go on talking", func() bool { return count() > before+1 || t.Failed() })
}

// upgradeTimeout is short, so that those who dawdle are soon gone.
const upgradeTimeout = 3 * time.Second

// TestHostile does everything to a node that a client should not do, while two good
// ones talk.
func TestHostile(t *testing.T) {
	n := serve(t, kafkatest.Embedded(t, 8), newKey(t, auth.HS256), append(noRate, "--limits-upgrade-timeout", upgradeTimeout.String())...)
	c := newChat(t, n)
	for _, group := range []struct {
		name string
		run  func(t *testing.T, n *node)
	}{
		{"requests", badRequests},
		{"tokens", badRequestTokens},
		{"frames", badFrames},
		{"sends", badSends},
		{"odd packets", oddPackets},
		{"dawdlers", dawdlers},
		{"resets", resets},
		{"half-closed", halfClosed},
	} {
		t.Run(group.name, func(t *testing.T) {
			group.run(t, n)
			c.unharmed(t)
		})
	}
	c.end()
	eventually(t, "only the good ones are connected", func() bool {
		m := n.metrics(t)
		return m.of(t, "godwit_connections") == 2 && m.of(t, "godwit_sessions") == 2 && m.of(t, "godwit_users") == 2
	})
	n.conserved(t)
	n.stop(t)
	for _, line := range n.complaints() {
		t.Errorf("the node complains: %s", line)
	}
}

// exchange writes to a new connection and returns all that comes back until the node
// ends it.
func exchange(t *testing.T, n *node, send []byte) string {
	t.Helper()
	c := open(t, n, 0)
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	// A node that refuses early may do so before all is written.
	_, writeErr := c.Write(send)
	answer, err := io.ReadAll(c)
	if len(answer) == 0 {
		t.Fatalf("no answer: %v", errors.Join(writeErr, err))
	}
	return string(answer)
}

func badRequests(t *testing.T, n *node) {
	good, _ := request(n.url, n.token(t, "mallory"), options{})
	replace := func(old, new string) string {
		if !strings.Contains(string(good), old) {
			t.Fatalf("the request has no %q", old)
		}
		return strings.Replace(string(good), old, new, 1)
	}
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"a head of a megabyte":      {"GET /v1/connect HTTP/1.1\r\nX: " + strings.Repeat("a", 1<<20), 431},
		"a head of many fields":     {"GET /v1/connect HTTP/1.1\r\n" + strings.Repeat("X: y\r\n", 1<<16) + "\r\n", 431},
		"a line without an end":     {strings.Repeat("G", 1<<20), 431},
		"another path":              {replace("/v1/connect?", "/v2/connect?"), 404},
		"the root":                  {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404},
		"another method":            {replace("GET ", "POST "), 405},
		"another method elsewhere":  {"DELETE /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 405},
		"no upgrade":                {"GET /v1/connect HTTP/1.1\r\nHost: x\r\n\r\n", 426},
		"another version":           {replace("Version: 13", "Version: 8"), 426},
		"no key":                    {replace("Sec-WebSocket-Key", "X-Key"), 400},
		"no subprotocol":            {replace("Sec-WebSocket-Protocol", "X-Protocol"), 400},
		"an unknown subprotocol":    {replace("godwit.v1.json", "godwit.v9.json"), 400},
		"no host":                   {replace("Host:", "X-Host:"), 400},
		"two hosts":                 {replace("Host: ", "Host: x\r\nHost: "), 400},
		"a body":                    {replace("Upgrade: websocket", "Upgrade: websocket\r\nContent-Length: 5"), 400},
		"chunks":                    {replace("Upgrade: websocket", "Upgrade: websocket\r\nTransfer-Encoding: chunked"), 400},
		"not HTTP":                  {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400},
		"no request line":           {"\r\n\r\n\r\n", 400},
		"HTTP/2":                    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0},
		"a long device name":        {replace("/v1/connect?", "/v1/connect?device="+strings.Repeat("d", 65)), 400},
		"a device that is not text": {replace("/v1/connect?", "/v1/connect?device=%ff"), 400},
		"an unknown start":          {replace("/v1/connect?", "/v1/connect?start=yesterday"), 400},
		"a user that is not text":   {"GET /v1/route?user=%ff HTTP/1.1\r\nHost: x\r\n\r\n", 400},
	} {
		answer := exchange(t, n, []byte(c.request))
		var status int
		if _, err := fmt.Sscanf(answer, "HTTP/1.1 %d ", &status); err != nil || status != c.status && c.status != 0 || status < 400 {
			t.Errorf("%s: want %d, got %.100q", name, c.status, answer)
		}
	}
}

func badRequestTokens(t *testing.T, n *node) {
	for why, token := range badTokens(t, n.key, newKey(t, auth.HS256)) {
		_, err := dial(n.url, token, options{})
		status := (*ws.StatusError)(nil)
		if !errors.As(err, &status) || status.Status != http.StatusUnauthorized {
			t.Errorf("%s: %v", why, err)
		}
		// A page in a browser sees no status.
		o := options{encoding: codec.Proto, header: [][2]string{{"Origin", "https://chat.example"}}}
		s, err := dial(n.url, token, o)
		if err != nil {
			t.Errorf("%s, in a browser: %v", why, err)
			continue
		}
		d := newDevice(t, n, "mallory", o, s)
		d.listen()
		code, want := d.ended(), codec.CloseUnauthorized
		if why == "expired" {
			want = codec.CloseTokenExpired
		}
		if code != uint16(want) || codec.CloseFor(d.lastError()) != want {
			t.Errorf("%s, in a browser: %q and close code %d, want %d", why, d.lastError(), code, want)
		}
	}
}

// frame returns a frame as a client writes it, with its first two bytes and its length
// as given: neither need be right.
func frame(first byte, masked bool, length uint64, payload []byte) []byte {
	b := []byte{first, 127}
	if masked {
		b[1] |= 0x80
	}
	b = binary.BigEndian.AppendUint64(b, length)
	if masked {
		b = append(b, 0, 0, 0, 0)
	}
	return append(b, payload...)
}

// small returns a masked frame with a length below 126.
func small(first byte, payload string) []byte {
	b := []byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}
	return append(b, payload...)
}

func badFrames(t *testing.T, n *node) {
	const final, text, bin, ping = 0x80, 0x1, 0x2, 0x9
	for name, c := range map[string]struct {
		bytes []byte
		code  uint16
	}{
		"a length beyond the limit":         {frame(final|text, true, 10<<20, nil), 1009},
		"a length of 2^62":                  {frame(final|text, true, 1<<62, nil), 1009},
		"a length of 2^63":                  {frame(final|text, true, 1<<63, nil), 1002},
		"a length that is not the shortest": {frame(final|text, true, 5, []byte("hello")), 1002},
		"a megabyte":                        {masked(ws.Text, bytes.Repeat([]byte(" "), 1<<20)), 1009},
		"fragments without end":             {append(small(text, ""), bytes.Repeat(small(0, ""), 1000)...), 1009},
		"an unmasked frame":                 {[]byte{final | text, 2, '{', '}'}, 1002},
		"a reserved bit":                    {small(final|0x40|text, "{}"), 1002},
		"a reserved opcode":                 {small(final|0x3, "{}"), 1002},
		"a reserved control opcode":         {small(final|0xb, ""), 1002},
		"a ping in fragments":               {small(ping, "x"), 1002},
		"a long ping":                       {masked(ws.Ping, make([]byte, 126)), 1002},
		"a continuation of nothing":         {small(final, "{}"), 1002},
		"a message within another":          {append(small(text, "{"), small(final|text, "{}")...), 1002},
		"text that is not UTF-8":            {small(final|text, "{\"\xff\":1}"), 1007},
		"text that ends within a character": {small(final|text, "\xe2\x82"), 1007},
		"a close code that is none":         {small(final|0x8, "\x03\xed"), 1002},
		"half a close code":                 {small(final|0x8, "\x03"), 1002},
		"a close reason that is not UTF-8":  {small(final|0x8, "\x03\xe8\xff"), 1007},
	} {
		d := connect(t, n, "mallory", options{})
		if err := d.write(c.bytes); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Logf("%s: %v", name, err) // the node may have ended the connection by now
		}
		d.untilEnd()
		d.mu.Lock()
		if d.closed == nil || d.closed.Code != c.code {
			t.Errorf("%s: close %+v and %v, want %d", name, d.closed, d.end, c.code)
		}
		d.mu.Unlock()
	}

	// What is a proper WebSocket message and no frame of the protocol is answered, and
	// the connection stays.
	for _, e := range []codec.Encoding{codec.JSON, codec.Proto} {
		d := connect(t, n, "mallory", options{encoding: e})
		op, other := ws.Text, ws.Binary
		if e == codec.Proto {
			op, other = other, op
		}
		payloads := []string{"", "{", "null", "[]", `{"type":"send"`, `{"type":"?"}`, `{"type":"ping","type":"ping"}`, strings.Repeat("[", 10_000), `{"type":"ping","x":` + strings.Repeat("[", 10_000)}
		if e == codec.Proto {
			payloads = []string{"", "\x00", "\x0a", "\x0a\x05", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", strings.Repeat("\x0b", 10_000), "\x1a\x00\x1a\x00"}
		}
		for i, p := range payloads {
			if err := d.writeFrame(op, []byte(p)); err != nil {
				t.Fatal(err)
			}
			d.until(fmt.Sprintf("an error for %.40q", p), func() bool { return len(d.errors) == i+1 })
			if code := d.lastError(); code != codec.CodeBadFrame && code != codec.CodeUnknownType && code != codec.CodeUnknownField {
				t.Errorf("%.40q was answered %s", p, code)
			}
		}
		if err := d.writeFrame(other, encodePayload(e, sendFrame("m1", "hello", "nobody"))); err != nil {
			t.Fatal(err)
		}
		d.until("an error for the wrong kind of message", func() bool { return len(d.errors) == len(payloads)+1 })
		d.store("m2", "hello", "nobody")
	}
}

func encodePayload(e codec.Encoding, f *codec.ClientFrame) []byte {
	return codec.AppendClientFrame(nil, e, f)
}

// untilEnd waits until the connection has ended, however.
func (d *device) untilEnd() {
	d.t.Helper()
	select {
	case <-d.done:
	case <-time.After(patience):
		d.t.Fatalf("%s: the connection does not end", d.timeline.name)
	}
}

func badSends(t *testing.T, n *node) {
	many := make([]string, backplane.MaxRecipients+1)
	for i := range many {
		many[i] = fmt.Sprint("user-", i)
	}
	for _, e := range []codec.Encoding{codec.JSON, codec.Proto} {
		d := connect(t, n, "mallory", options{encoding: e})
		for name, c := range map[string]struct {
			frame *codec.ClientFrame
			code  backplane.Code
		}{
			"to oneself":       {sendFrame("m", "hello", "nobody", "mallory"), codec.CodeRecipientIsSender},
			"to nobody":        {sendFrame("m", "hello"), codec.CodeNoRecipients},
			"to too many":      {sendFrame("m", "hello", many...), codec.CodeTooManyRecipients},
			"to one twice":     {sendFrame("m", "hello", "a", "b", "a"), codec.CodeDuplicateRecipient},
			"to a long name":   {sendFrame("m", "hello", strings.Repeat("x", 129)), codec.CodeBadRecipient},
			"too long a body":  {sendFrame("m", strings.Repeat("x", backplane.MaxBody+1), "nobody"), codec.CodeBodyTooLarge},
			"an unknown kind":  {withKind(sendFrame("m", "hello", "nobody"), 7), codec.CodeBadKind},
			"an empty name":    {sendFrame("m", "hello", ""), codec.CodeBadRecipient},
			"an id of 65":      {sendFrame(strings.Repeat("i", 65), "hello", "nobody"), codec.CodeBadID},
			"an empty id":      {sendFrame("", "hello", "nobody"), codec.CodeBadID},
			"the longest body": {sendFrame("longest", strings.Repeat("\x01", backplane.MaxBody), "nobody"), ""},
			"the most users":   {sendFrame("most", "hello", many[1:]...), ""},
		} {
			if e == codec.Proto && (name == "an empty name" || name == "an empty id") {
				continue // not there is the same as empty there
			}
			d.mu.Lock()
			errs, answers := len(d.errors), d.answers
			d.mu.Unlock()
			if err := d.write(encode(e, c.frame)); err != nil {
				t.Fatal(err)
			}
			d.until("an answer to a send "+name, func() bool { return len(d.errors) > errs || d.answers > answers })
			d.mu.Lock()
			switch acks := d.acks[string(c.frame.Send.ID)]; {
			case d.answers > answers:
				if a := acks[len(acks)-1]; a.Code != c.code || (a.Status == backplane.Stored) != (c.code == "") {
					t.Errorf("%v, %s: answered %d %q, want %q", e, name, a.Status, a.Code, c.code)
				}
			case d.errors[len(d.errors)-1].Code != c.code:
				t.Errorf("%v, %s: error %q, want %q", e, name, d.errors[len(d.errors)-1].Code, c.code)
			}
			d.mu.Unlock()
		}
		d.ping()
	}
}

func withKind(f *codec.ClientFrame, k backplane.Kind) *codec.ClientFrame {
	f.Send.Kind = k
	return f
}

// oddPackets has clients that are right and cut their bytes in unusual ways.
func oddPackets(t *testing.T, n *node) {
	script := func(e codec.Encoding) []byte {
		return encode(e, sendFrame("m1", "hello", "nobody"), &codec.ClientFrame{Type: codec.FramePing}, sendFrame("m2", "hello", "nobody"))
	}
	served := func(t *testing.T, d *device) {
		t.Helper()
		d.ack("m1", 0)
		d.ack("m2", 0)
		d.until("a pong", func() bool { return d.pongs == 1 })
		d.got(2)
		d.hangup()
	}
	for _, e := range []codec.Encoding{codec.JSON, codec.Proto} {
		o := options{encoding: e}
		t.Run("frames in the packet of the request/"+e.String(), func(t *testing.T) {
			o.device = "early " + e.String()
			head, key := request(n.url, n.token(t, "odd"), o)
			s := &socket{conn: open(t, n, 0), encoding: e}
			if err := s.write(append(head, script(e)...)); err != nil {
				t.Fatal(err)
			}
			served(t, welcomed(t, n, o, s, key))
		})
		t.Run("one byte in a packet/"+e.String(), func(t *testing.T) {
			o.device = "bytewise " + e.String()
			head, key := request(n.url, n.token(t, "odd"), o)
			s := &socket{conn: open(t, n, 0), encoding: e}
			for _, b := range append(head, script(e)...) { // Go's sockets do not wait for more
				if err := s.write([]byte{b}); err != nil {
					t.Fatal(err)
				}
			}
			served(t, welcomed(t, n, o, s, key))
		})
		t.Run("fragments with pings between/"+e.String(), func(t *testing.T) {
			o.device = "fragments " + e.String()
			d := connect(t, n, "odd", o)
			op := ws.Binary
			if e.Text() {
				op = ws.Text
			}
			var packet []byte
			for _, id := range []string{"m1", "m2"} {
				packet = append(packet, fragmented(op, encodePayload(e, sendFrame(id, "h\u00e9llo \U0001f986", "nobody")))...)
			}
			packet = append(packet, encode(e, &codec.ClientFrame{Type: codec.FramePing})...)
			if err := d.write(packet); err != nil {
				t.Fatal(err)
			}
			served(t, d)
		})
	}
}

// fragmented returns a message in as many frames as may be, of one byte each but the
// last, with a ping after each.
func fragmented(op ws.Op, payload []byte) []byte {
	const most = 64
	var b []byte
	first := byte(op)
	for range most - 1 {
		b = append(b, small(first, string(payload[:1]))...)
		b = append(b, masked(ws.Ping, []byte("between"))...)
		payload, first = payload[1:], 0
		if len(payload) == 1 {
			break
		}
	}
	return append(b, small(0x80, string(payload))...)
}

// welcomed returns the device of a socket whose request was written already.
func welcomed(t *testing.T, n *node, o options, s *socket, key [16]byte) *device {
	t.Helper()
	if err := s.handshake(key); err != nil {
		t.Fatal(err)
	}
	d := newDevice(t, n, "odd", o, s)
	if err := d.readWelcome(); err != nil {
		t.Fatal(err)
	}
	d.listen()
	return d
}

// dawdlers never finish their request. They are cut off.
func dawdlers(t *testing.T, n *node) {
	const count = 100
	before := n.metrics(t).of(t, label("godwit_refusals_total", "reason", "timeout"))
	head, _ := request(n.url, n.token(t, "mallory"), options{})
	var conns []*net.TCPConn
	for range count {
		conns = append(conns, open(t, n, 0))
	}
	// A byte now and then, for ever: each is an ever longer beginning of a good request.
	var left sync.WaitGroup
	for i, c := range conns {
		left.Go(func() {
			end := make(chan struct{})
			go func() {
				defer close(end)
				_, _ = io.Copy(io.Discard, c)
			}()
			slow := time.NewTicker(20 * time.Millisecond)
			defer slow.Stop()
			for j := range len(head) - 1 {
				if i%2 == 1 && j > 0 {
					break // says one byte and no more
				}
				if _, err := c.Write(head[j : j+1]); err != nil {
					break
				}
				select {
				case <-slow.C:
				case <-end:
					return
				}
			}
			<-end
		})
	}
	left.Wait()
	if got := n.metrics(t).of(t, label("godwit_refusals_total", "reason", "timeout")) - before; got != count {
		t.Errorf("%v requests timed out, want %d", got, count)
	}
}

// resets end their connections with a reset at every stage.
func resets(t *testing.T, n *node) {
	head, _ := request(n.url, n.token(t, "mallory"), options{device: "r"})
	send := encode(codec.JSON, sendFrame("m1", strings.Repeat("x", 5000), "nobody"))
	all := append(append([]byte(nil), head...), send...)
	for _, cut := range []int{0, 1, len(head) / 2, len(head) - 1, len(head), len(head) + 1, len(head) + 7, len(head) + len(send)/2, len(all)} {
		for range 5 {
			c := open(t, n, 0)
			if _, err := c.Write(all[:cut]); err != nil {
				t.Fatal(err)
			}
			if err := c.SetLinger(0); err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
	}
	// And with acks and deliveries on their way.
	for i := range 20 {
		d := connect(t, n, "mallory", options{device: "r", deaf: true, receiveBuffer: 4096})
		for j := range 20 {
			d.send(fmt.Sprint(i, "-", j), strings.Repeat("x", 5000), "nobody")
		}
		if err := d.conn.SetLinger(0); err != nil {
			t.Fatal(err)
		}
		d.conn.Close()
	}
}

// halfClosed clients end their sending side and go on reading.
func halfClosed(t *testing.T, n *node) {
	c := open(t, n, 0)
	if _, err := c.Write([]byte("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(c); err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) {
		t.Errorf("half-closed after a request: %q, %v", answer, err)
	}

	c = open(t, n, 0)
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(c); err != nil || len(answer) != 0 {
		t.Errorf("half-closed before a request: %q, %v", answer, err)
	}

	d := connect(t, n, "mallory", options{})
	d.store("m1", "hello", "nobody")
	d.send("m2", "hello", "nobody")
	if err := d.conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	d.untilEnd() // whether m2 is answered is not promised
}
