package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
)

// serverFrame is a frame as a server writes it.
func serverFrame(fin bool, op byte, payload string) []byte {
	b := []byte{op, byte(len(payload))}
	if fin {
		b[0] |= finBit
	}
	switch {
	case len(payload) >= 1<<16:
		b[1] = length64
		b = binary.BigEndian.AppendUint64(b, uint64(len(payload)))
	case len(payload) >= length16:
		b[1] = length16
		b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
	}
	return append(b, payload...)
}

func join(frames ...[]byte) []byte { return bytes.Join(frames, nil) }

type piece struct {
	op      byte
	payload string
}

// readAll reads messages until the first error.
func readAll(b []byte, data byte, limit int) (all []piece, err error) {
	m := messageReader{r: bytes.NewReader(b), data: data, limit: limit}
	for {
		op, payload, err := m.next()
		if err != nil {
			return all, err
		}
		all = append(all, piece{op, string(payload)})
	}
}

func TestMessages(t *testing.T) {
	long, longer := strings.Repeat("x", 126), strings.Repeat("y", 1<<16)
	stream := join(
		serverFrame(true, opText, "hi"),
		serverFrame(true, opText, ""),
		serverFrame(true, opText, long),
		serverFrame(true, opText, longer),
		serverFrame(false, opText, "za\xc5"),
		serverFrame(true, opPing, "now"),
		serverFrame(false, opContinuation, ""),
		serverFrame(true, opContinuation, "\xbc"),
		serverFrame(true, opPong, ""),
		serverFrame(true, opClose, "\x03\xe8bye"),
	)
	want := []piece{{opText, "hi"}, {opText, ""}, {opText, long}, {opText, longer}, {opPing, "now"}, {opText, "zaż"},
		{opPong, ""}, {opClose, "\x03\xe8bye"}}
	got, err := readAll(stream, opText, 1<<17)
	if err != io.EOF || len(got) != len(want) {
		t.Fatalf("%d pieces and %v, want %d", len(got), err, len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("piece %d is %.40v, want %.40v", i, got[i], want[i])
		}
	}
}

// TestTruncated cuts a stream at each byte: the end is clean between frames only.
func TestTruncated(t *testing.T) {
	frames := [][]byte{serverFrame(true, opText, "hi"), serverFrame(true, opPing, "p"), serverFrame(true, opText, strings.Repeat("x", 200))}
	stream, clean := join(frames...), map[int]bool{0: true}
	for i := range frames {
		clean[len(join(frames[:i+1]...))] = true
	}
	for n := range len(stream) + 1 {
		want := io.ErrUnexpectedEOF
		if clean[n] {
			want = io.EOF
		}
		if _, err := readAll(stream[:n], opText, 1000); err != want {
			t.Errorf("cut at %d: %v, want %v", n, err, want)
		}
	}
}

func TestBrokenFraming(t *testing.T) {
	const limit = 1000
	masked := serverFrame(true, opText, "hi")
	masked[1] |= maskBit
	for name, stream := range map[string][]byte{
		"masked":                         masked,
		"reserved bit":                   {0x40 | finBit | opText, 0},
		"unknown opcode":                 {finBit | 0x3, 0},
		"unknown control opcode":         {finBit | 0xB, 0},
		"other type":                     serverFrame(true, opBinary, "hi"),
		"continuation of nothing":        serverFrame(true, opContinuation, "hi"),
		"message in a message":           join(serverFrame(false, opText, "a"), serverFrame(true, opText, "b")),
		"fragmented ping":                serverFrame(false, opPing, ""),
		"long ping":                      serverFrame(true, opPing, strings.Repeat("x", 126)),
		"length of two bytes too small":  {finBit | opText, length16, 0, 125},
		"length of eight bytes small":    {finBit | opText, length64, 0, 0, 0, 0, 0, 0, 0xff, 0xff},
		"length with the highest bit":    {finBit | opText, length64, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"length of exabytes":             {finBit | opText, length64, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"at the limit":                   serverFrame(true, opText, strings.Repeat("x", limit)),
		"at the limit in fragments":      join(serverFrame(false, opText, strings.Repeat("x", limit-1)), serverFrame(true, opContinuation, "x")),
		"text that is none":              serverFrame(true, opText, "\xff"),
		"text that ends in a character":  serverFrame(true, opText, "\xc5"),
		"text that is none in fragments": join(serverFrame(false, opText, "\xc5"), serverFrame(true, opContinuation, "a")),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readAll(stream, opText, limit)
			var v *Violation
			if !errors.As(err, &v) || v.Rule != RuleSocket || len(got) > 0 {
				t.Errorf("%d pieces and %v", len(got), err)
			}
		})
	}
	if got, err := readAll(serverFrame(true, opText, strings.Repeat("x", limit-1)), opText, limit); err != io.EOF || len(got) != 1 {
		t.Errorf("below the limit: %v", err)
	}
}

func TestClosePayload(t *testing.T) {
	for _, test := range []struct {
		payload, reason string
		code            int
		broken          bool
	}{
		{"", "", closeNoCode, false},
		{"\x03\xe8", "", 1000, false},
		{"\x10\x68moved", "moved", 4200, false},
		{"\x03", "", 0, true},
		{"\x03\xe8\xff", "", 0, true},
	} {
		code, reason, broken := parseClose([]byte(test.payload))
		if (broken != nil) != test.broken || !test.broken && (code != test.code || reason != test.reason) {
			t.Errorf("%q: %d, %q, %v", test.payload, code, reason, broken)
		}
		if !test.broken && string(closePayload(code))+reason != test.payload {
			t.Errorf("%q becomes %q", test.payload, closePayload(code))
		}
	}
}

// unmask turns frames of a client into those of a server.
func unmask(t *testing.T, b []byte) (frames int, out []byte) {
	t.Helper()
	for len(b) > 0 {
		if b[1]&maskBit == 0 {
			t.Fatal("a frame of the client is not masked")
		}
		head, length := 2, int(b[1]&lengthBits)
		switch length {
		case length16:
			head, length = 4, int(binary.BigEndian.Uint16(b[2:]))
		case length64:
			head, length = 10, int(binary.BigEndian.Uint64(b[2:]))
		}
		out = append(out, b[0], b[1]&^maskBit)
		out = append(out, b[2:head]...)
		key, payload := b[head:head+4], b[head+4:head+4+length]
		for i, c := range payload {
			out = append(out, c^key[i%4])
		}
		b = b[head+4+length:]
		frames++
	}
	return frames, out
}

func TestAppendMessage(t *testing.T) {
	for _, length := range []int{0, 1, 2, 63, 64, 65, 125, 126, 1<<16 - 1, 1 << 16} {
		for _, fragments := range []int{0, 1, 2, 64} {
			payload := strings.Repeat("z", length)
			frames, stream := unmask(t, appendMessage(nil, opText, []byte(payload), fragments))
			got, err := readAll(stream, opText, 1<<17)
			if err != io.EOF || len(got) != 1 || got[0] != (piece{opText, payload}) {
				t.Fatalf("%d bytes in %d fragments: %d pieces, %v", length, fragments, len(got), err)
			}
			if want := max(1, min(fragments, length)); frames != want {
				t.Errorf("%d bytes in %d frames, want %d", length, frames, want)
			}
		}
	}
}

// FuzzMessageReader wants of any bytes that they are read to an end, with messages
// below the limit, and in the same way whether they come one by one or at once.
func FuzzMessageReader(f *testing.F) {
	f.Add(join(serverFrame(false, opText, "za\xc5"), serverFrame(true, opPing, "p"), serverFrame(true, opContinuation, "\xbc")))
	f.Add(serverFrame(true, opClose, "\x03\xe8bye"))
	f.Add(serverFrame(true, opText, strings.Repeat("x", 200)))
	f.Add([]byte{finBit | opText, length64, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit = 300
		got, err := readAll(b, opText, limit)
		m := messageReader{r: oneByte{bytes.NewReader(b)}, data: opText, limit: limit}
		for _, want := range got {
			if len(want.payload) >= limit {
				t.Fatalf("a message of %d bytes", len(want.payload))
			}
			op, payload, err := m.next()
			if err != nil || op != want.op || string(payload) != want.payload {
				t.Fatalf("byte by byte %#x %q, %v; at once %v", op, payload, err, want)
			}
		}
		if _, _, slow := m.next(); slow == nil || slow.Error() != err.Error() {
			t.Fatalf("byte by byte %v, at once %v", slow, err)
		}
	})
}

// oneByte reads a byte at a time.
type oneByte struct{ r io.Reader }

func (o oneByte) Read(b []byte) (int, error) { return o.r.Read(b[:min(1, len(b))]) }
