package ws

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	gobwas "github.com/gobwas/ws"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server and client are limits that the tests stay well below, except where limits
// are the subject.
var (
	server = &Limits{MessageBytes: 1 << 20, Fragments: 64}
	client = &Limits{MessageBytes: 1 << 20, Fragments: 64, Client: true}
)

// testKey is the masking key of the examples in RFC 6455, section 5.7.
var testKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// raw makes a client's frame with any first byte, right or wrong, by way of gobwas.
func raw(first byte, payload []byte) []byte {
	f := gobwas.NewFrame(gobwas.OpCode(first&0xf), first&0x80 != 0, payload)
	f.Header.Rsv = first >> 4 & 7
	return gobwas.MustCompileFrame(gobwas.MaskFrameWith(f, testKey))
}

// masked makes a final client's frame.
func masked(op Op, payload string) []byte { return raw(0x80|byte(op), []byte(payload)) }

// fragments makes a message in frames, one for each part.
func fragments(op Op, parts ...string) []byte {
	var b []byte
	for i, part := range parts {
		first := byte(op)
		if i > 0 {
			first = byte(continuation)
		}
		if i == len(parts)-1 {
			first |= 0x80
		}
		b = append(b, raw(first, []byte(part))...)
	}
	return b
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// transcript is all that a Reader tells of its input.
type transcript struct {
	events []string
	reason Reason
}

func (t transcript) String() string { return fmt.Sprintf("%q %s", t.events, t.reason) }

func describe(ev Event) string { return fmt.Sprintf("%d %d %q", ev.Op, ev.Code, ev.Payload) }

// read gives the pieces to a new Reader, a copy of each since it is unmasked in place.
func read(t testing.TB, lim *Limits, pieces ...[]byte) transcript {
	t.Helper()
	var r Reader
	defer r.Release()
	var out transcript
	for _, piece := range pieces {
		p := bytes.Clone(piece)
		for {
			ev, n, ok, err := r.Next(p, lim)
			if n < 0 || n > len(p) {
				t.Fatalf("Next took %d of %d bytes", n, len(p))
			}
			if err != nil {
				e := err.(*Error)
				out.reason = e.Reason
				return out
			}
			if !ok {
				if n != len(p) {
					t.Fatalf("Next left %d bytes without an event", len(p)-n)
				}
				break
			}
			out.events = append(out.events, describe(ev))
			p = p[n:]
		}
	}
	return out
}

// bytewise cuts b into its bytes.
func bytewise(b []byte) [][]byte {
	pieces := make([][]byte, len(b))
	for i := range b {
		pieces[i] = b[i : i+1]
	}
	return pieces
}

// randomly cuts b into pieces of 0 to 2*mean bytes.
func randomly(rng *rand.Rand, b []byte, mean int) [][]byte {
	var pieces [][]byte
	for len(b) > 0 {
		n := min(rng.IntN(2*mean+1), len(b))
		pieces = append(pieces, b[:n])
		b = b[n:]
	}
	return pieces
}

func event(op Op, payload string) string {
	return describe(Event{Op: op, Payload: []byte(payload)})
}
