package ws

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	gobwas "github.com/gobwas/ws"
)

// FuzzReader reads any bytes whole, bytewise and in random pieces, which must make no
// difference, and compares the result with a plain reading of the RFC.
func FuzzReader(f *testing.F) {
	input, _ := sample()
	f.Add(input, uint64(1), false)
	f.Add(input[:len(input)/2], uint64(2), false)
	f.Add(join(AppendFrame(nil, Text, []byte("Hello")), AppendClose(nil, 1000, "bye")), uint64(3), true)
	f.Add(AppendHeader(nil, Binary, 64<<20), uint64(4), true)
	for _, text := range invalidTexts {
		f.Add(fragments(Text, text.text[:1], text.text[1:]), uint64(5), false)
	}
	f.Fuzz(func(t *testing.T, input []byte, seed uint64, clientEnd bool) {
		lim := &Limits{MessageBytes: 2000, Fragments: 5, Client: clientEnd}
		whole := read(t, lim, input)
		rng := rand.New(rand.NewPCG(seed, 2))
		for _, got := range []transcript{
			read(t, lim, bytewise(input)...),
			read(t, lim, randomly(rng, input, 1+int(seed%100))...),
		} {
			if fmt.Sprint(got) != fmt.Sprint(whole) {
				t.Fatalf("whole: %v\nsplit: %v", whole, got)
			}
		}
		events, failed := readPlainly(input, lim)
		if !slices.Equal(whole.events, events) {
			t.Fatalf("got %q, want %q", whole.events, events)
		}
		// Only what is wrong in the text of an unfinished frame shows before its end.
		if failed != (whole.reason != "") && whole.reason != ReasonInvalidUTF8 {
			t.Fatalf("failed %v, got %q", failed, whole.reason)
		}
	})
}

// readPlainly is Reader in its simplest form, for input that is all there. It says
// what is wrong only when a header or a payload is complete.
func readPlainly(input []byte, lim *Limits) (events []string, failed bool) {
	in := bytes.NewReader(input)
	var message []byte
	var op Op
	frames := 0
	for {
		before := in.Len()
		h, err := gobwas.ReadHeader(in)
		if err != nil {
			return events, errors.Is(err, gobwas.ErrHeaderLengthMSB)
		}
		size := HeaderSize(int(h.Length))
		state := gobwas.StateClientSide
		if !lim.Client {
			size, state = size+4, gobwas.StateServerSide
		}
		if frames > 0 {
			state |= gobwas.StateFragmented
		}
		if gobwas.CheckHeader(h, state) != nil || before-in.Len() != size {
			return events, true
		}
		control := h.OpCode.IsControl()
		if !control && (frames == lim.Fragments || h.Length > int64(lim.MessageBytes-len(message))) {
			return events, true
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(in, payload); err != nil {
			return events, false
		}
		for i := range payload {
			payload[i] ^= h.Mask[i%4]
		}
		if control {
			ev := Event{Op: Op(h.OpCode), Payload: payload}
			if ev.Op == Close {
				ev.Code = CloseNoStatus
				if len(payload) > 0 {
					if len(payload) == 1 {
						return events, true
					}
					ev.Code, ev.Payload = uint16(payload[0])<<8|uint16(payload[1]), payload[2:]
					if !ValidCloseCode(ev.Code) || !utf8.Valid(ev.Payload) {
						return events, true
					}
				}
			}
			events = append(events, describe(ev))
			continue
		}
		if frames == 0 {
			op = Op(h.OpCode)
		}
		frames++
		message = append(message, payload...)
		if op == Text && (!completes(message) || h.Fin && !utf8.Valid(message)) {
			return events, true
		}
		if !h.Fin {
			continue
		}
		events = append(events, describe(Event{Op: op, Payload: message}))
		message, frames = nil, 0
	}
}

// FuzzMasked sends any payload through the client's frames and back, cut anywhere.
func FuzzMasked(f *testing.F) {
	f.Add([]byte("Hello"), uint32(0x37fa213d), 7)
	f.Add([]byte{}, uint32(0), 0)
	f.Add(bytes.Repeat([]byte("0123456789abcdef"), 5000), uint32(0xff00ff00), 79)
	f.Fuzz(func(t *testing.T, payload []byte, k uint32, cut int) {
		key := [4]byte{byte(k >> 24), byte(k >> 16), byte(k >> 8), byte(k)}
		frame := AppendMasked(nil, Binary, payload, key)
		header := len(frame) - len(payload)
		for i, c := range frame[header:] {
			if c != payload[i]^key[i%4] {
				t.Fatalf("byte %d is %#x", i, c)
			}
		}
		cut = min(max(cut, 0), len(frame))
		lim := &Limits{MessageBytes: len(payload)}
		got := read(t, lim, frame[:cut], frame[cut:])
		if got.reason != "" || !slices.Equal(got.events, []string{event(Binary, string(payload))}) {
			t.Fatalf("got %v", got)
		}
	})
}

// FuzzRequest gives any bytes to the server's side of the handshake. What it accepts
// must mean the same to net/http, and what it upgrades must satisfy the client's side.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(upgradeHead()))
	f.Add([]byte(rfcHead))
	f.Add([]byte("GET /healthz HTTP/1.0\r\n\r\n"))
	f.Add([]byte("GET http://h?q=%20 HTTP/1.1\r\nHost: h\r\nX: y\n\r\n"))
	f.Add([]byte(upgradeHead("Sec-WebSocket-Protocol: ,a,", "sec-websocket-protocol: b", "Content-Length: 0")))
	f.Fuzz(func(t *testing.T, input []byte) {
		if end := HeadEnd(input, 0); end >= 0 {
			if !strings.HasSuffix(string(input[:end]), headEnd) || strings.Contains(string(input[:end-1]), headEnd) {
				t.Fatalf("the head ends at %d", end)
			}
		}
		before := bytes.Clone(input)
		r, err := ParseRequest(input)
		var protocol string
		for p := range r.Protocols() {
			protocol = string(p)
		}
		response, upgradeErr := Upgrade(input, protocol, nil)
		if !bytes.Equal(input, before) {
			t.Fatal("the head was changed")
		}
		if err != nil {
			if !errors.Is(upgradeErr, err) {
				t.Fatalf("parsed with %v, upgraded with %v", err, upgradeErr)
			}
			return
		}
		if std, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(input))); err == nil {
			if std.Method != string(r.Method) || std.RequestURI != string(r.Target) || std.URL.RawQuery != string(r.RawQuery) ||
				!strings.EqualFold(std.Header.Get("Origin"), string(r.Origin)) {
				t.Fatalf("net/http reads %+v, not %+v", std, r)
			}
		}
		if upgradeErr != nil {
			if e := upgradeErr.(*RequestError); e.Status < 400 || e.Reason == "" {
				t.Fatalf("error %+v", e)
			}
			return
		}
		if !r.IsUpgrade {
			t.Fatal("upgraded, but not seen as an upgrade")
		}
		key, err := base64.StdEncoding.DecodeString(string(r.key))
		if err != nil || base64.StdEncoding.EncodeToString(key) != string(r.key) {
			// Some bits of the key's last character mean nothing, and the answer
			// depends on them.
			return
		}
		if got, err := ParseResponse(response, [16]byte(key), []string{protocol}); err != nil || got != protocol {
			t.Fatalf("the client reads protocol %q, %v", got, err)
		}
	})
}

// FuzzResponse gives any bytes to the client's side of the handshake.
func FuzzResponse(f *testing.F) {
	response, _ := Upgrade([]byte(rfcHead), "chat", nil)
	f.Add(response)
	f.Add(AppendResponse(nil, 421, "not mine", [2]string{"Godwit-Node-Url", "wss://node2/"}))
	f.Add(errUpgradeRequired.Append(nil))
	f.Fuzz(func(t *testing.T, input []byte) {
		protocol, err := ParseResponse(input, rfcKey, []string{"chat"})
		var status *StatusError
		switch {
		case err == nil:
			if protocol != "" && protocol != "chat" || !bytes.Contains(input, []byte(rfcAccept[len("Sec-WebSocket-Accept: "):])) {
				t.Fatalf("accepted with protocol %q", protocol)
			}
		case errors.As(err, &status):
			std, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(input)), nil)
			if err == nil && (std.StatusCode != status.Status ||
				std.Header.Get("Godwit-Node-Url") != status.Header("Godwit-Node-Url")) {
				t.Fatalf("net/http reads %+v, not %+v", std, status)
			}
		default:
			if e := err.(*ResponseError); e.Reason == "" {
				t.Fatal("an error without a reason")
			}
		}
	})
}

// FuzzQuery compares Query with net/url.
func FuzzQuery(f *testing.F) {
	f.Add("user=bob&token=a.b.c", "user")
	f.Add("us%65r=%C3%BC+%2B&user=%zz", "user")
	f.Add("&&=&a", "")
	f.Fuzz(func(t *testing.T, raw, key string) {
		if strings.Contains(raw, ";") {
			t.Skip("net/url refuses semicolons")
		}
		values, _ := url.ParseQuery(raw)
		got, ok := Query([]byte(raw), key)
		if ok != values.Has(key) || string(got) != values.Get(key) {
			t.Fatalf("Query(%q, %q) = %q, %v; net/url has %q", raw, key, got, ok, values[key])
		}
	})
}
