package main

import (
	"bytes"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/godwit-im/godwit/bench/peers/control"
)

func TestHistogram(t *testing.T) {
	var h histogram
	if q := h.quantile(0.5); q != 0 {
		t.Errorf("the median of nothing is %d", q)
	}
	for _, top := range []int64{1, 300, 1 << 9, 1<<9 + 1, 100_000, 1 << 40} {
		h.reset()
		all := make([]int64, 10_000)
		for i := range all {
			all[i] = rand.Int64N(top)
			h.record(all[i])
		}
		slices.Sort(all)
		for _, q := range []float64{0, 0.5, 0.99, 1} {
			want := all[min(int(q*float64(len(all))), len(all)-1)]
			if got := h.quantile(q); got < want || got > want+want/256 {
				t.Errorf("quantile %v of durations up to %d: %d, want %d and at most a 256th more", q, top, got, want)
			}
		}
	}
	h.reset()
	h.record(-5) // a clock that was read late counts as nothing
	h.record(1<<63 - 1)
	if lo, hi := h.quantile(0), h.quantile(1); lo != 0 || hi != 1<<63-1 {
		t.Errorf("the ends are %d and %d", lo, hi)
	}
}

func TestPacer(t *testing.T) {
	const rate = 1000
	began := time.Now()
	p, err := newPacer(rate)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	var n int64
	for n < 100 {
		due, err := p.wait()
		if err != nil {
			t.Fatal(err)
		}
		n += due
		if early := p.after(n) - time.Since(began); early > 0 {
			t.Fatalf("event %d came %v before it was due", n, early)
		}
	}
}

func TestParseHeader(t *testing.T) {
	for _, length := range []int64{0, 1, 125, 126, 1<<16 - 1, 1 << 16, 1 << 40} {
		for _, masked := range []bool{false, true} {
			want := ws.Header{Fin: true, OpCode: ws.OpBinary, Masked: masked, Length: length}
			if masked {
				want.Mask = ws.NewMask()
			}
			var encoded bytes.Buffer
			if err := ws.WriteHeader(&encoded, want); err != nil {
				t.Fatal(err)
			}
			b := encoded.Bytes()
			if !masked && !bytes.Equal(appendHeader(nil, want), b) {
				t.Errorf("%+v is encoded as %x, want %x", want, appendHeader(nil, want), b)
			}
			for n := range b {
				if _, got := parseHeader(b[:n]); got != 0 {
					t.Errorf("%d of %d bytes are a header", n, len(b))
				}
			}
			if got, n := parseHeader(append(b, 1, 2, 3)); got != want || n != len(b) {
				t.Errorf("%+v came back as %+v, %d bytes", want, got, n)
			}
		}
	}
}

func TestWrites(t *testing.T) {
	p := control.Push{Size: 300, Count: 10, Batch: 4}
	bytesOf := writes(p)
	one := len(frames(p.Size, 1))
	var got []int
	for n := range p.Writes() {
		got = append(got, len(bytesOf(n))/one)
	}
	if !slices.Equal(got, []int{4, 4, 2}) {
		t.Errorf("10 frames in fours are %v", got)
	}
}

func TestPair(t *testing.T) {
	all := makeUsers(2)
	for range 1000 {
		if sender, recipient := pair(all, true); sender.partition == recipient.partition {
			t.Fatal("a sender and a recipient in one partition")
		}
	}
}

// TestArguments starts what there is not.
func TestArguments(t *testing.T) {
	for _, args := range [][]string{{}, {"no-such-peer"}, {"gws", "surplus"}, {"gws", "-no-such-flag"}, {"gws", "-addr", "nowhere"}} {
		if err := run(args, strings.NewReader(""), io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
