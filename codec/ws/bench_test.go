package ws

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// benchKey makes other ASCII text of the letters that the frames here are filled with.
// A frame is unmasked in place, so every second time it is the plain text that comes,
// and what is unmasked must be text both times. A key of zeros would cost nothing.
var benchKey = [4]byte{1, 2, 3, 4}

// BenchmarkNext parses, unmasks and checks a frame that arrives whole.
func BenchmarkNext(b *testing.B) {
	for _, op := range []Op{Text, Binary} {
		for _, size := range []int{16, 200, 1024, 64 << 10} {
			b.Run(fmt.Sprintf("%s/%d", map[Op]string{Text: "text", Binary: "binary"}[op], size), func(b *testing.B) {
				frame := AppendMasked(nil, op, bytes.Repeat([]byte("x"), size), benchKey)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				var r Reader
				for b.Loop() {
					if _, _, ok, err := r.Next(frame, server); !ok || err != nil {
						b.Fatal(ok, err)
					}
				}
			})
		}
	}
}

// BenchmarkNextSplit parses a frame that arrives in two pieces.
func BenchmarkNextSplit(b *testing.B) {
	for _, size := range []int{200, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			frame := AppendMasked(nil, Text, bytes.Repeat([]byte("x"), size), benchKey)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			var r Reader
			for b.Loop() {
				if _, _, ok, err := r.Next(frame[:size/2], server); ok || err != nil {
					b.Fatal(ok, err)
				}
				if _, _, ok, err := r.Next(frame[size/2:], server); !ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
	}
}

func BenchmarkAppendMasked(b *testing.B) {
	for _, size := range []int{16, 200, 1024, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			payload := make([]byte, size)
			dst := make([]byte, 0, size+MaxHeaderSize)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				AppendMasked(dst, Binary, payload, testKey)
			}
		})
	}
}

// BenchmarkHandshake does what a server does for a browser's request.
func BenchmarkHandshake(b *testing.B) {
	head := []byte(upgradeHead("Cookie: " + strings.Repeat("c", 200)))
	dst := make([]byte, 0, 512)
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ParseRequest(head); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("upgrade", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Upgrade(head, "godwit.v1.json", dst); err != nil {
				b.Fatal(err)
			}
		}
	})
}
