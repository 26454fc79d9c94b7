package codec

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/godwit-im/godwit/backplane"
)

// zeroAllocs runs f once, so that scratch can grow, and then expects it to allocate
// nothing.
func zeroAllocs(t *testing.T, what string, f func()) {
	t.Helper()
	f()
	if n := testing.AllocsPerRun(100, f); n != 0 {
		t.Errorf("%s: %v allocations", what, n)
	}
}

func TestDecodeAllocs(t *testing.T) {
	client, _ := vectors(t)
	for _, v := range client {
		for _, enc := range []Encoding{JSON, Proto} {
			var d Decoder
			var f ClientFrame
			p := v.payload(enc)
			zeroAllocs(t, fmt.Sprintf("decoding %s in %v", v.Name, enc), func() {
				if err := d.Decode(enc, p, &DefaultLimits, &f); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

func TestAppendAllocs(t *testing.T) {
	client, server := vectors(t)
	buf := make([]byte, 0, 4096)
	for _, enc := range []Encoding{JSON, Proto} {
		for _, v := range client {
			f := v.Fields.clientFrame()
			zeroAllocs(t, fmt.Sprintf("encoding %s in %v", v.Name, enc), func() { AppendClientFrame(buf, enc, f) })
		}
		for _, v := range server {
			f := v.Fields.serverFrame(t)
			if page := &f.HistoryPage; len(page.Messages) > 0 {
				pageAllocs(t, v.Name, buf, enc, page)
				continue
			}
			if f.Type != FrameDeliver {
				zeroAllocs(t, fmt.Sprintf("encoding %s in %v", v.Name, enc), func() { appendServer(t, buf, enc, f, true) })
				continue
			}
			pos, err := ParseCursor(f.Deliver.Cursor)
			if err != nil {
				t.Fatal(err)
			}
			m := &f.Deliver.Message
			value := backplane.AppendMessage(nil, m)
			for _, body := range []bool{true, false} {
				zeroAllocs(t, fmt.Sprintf("encoding %s in %v", v.Name, enc), func() {
					p := AppendDeliverHead(buf, enc, f.Deliver.Seq, f.Deliver.Self)
					AppendDeliverTail(p, enc, pos, f.Deliver.Time, m, value, body)
				})
			}
		}
	}
}

func pageAllocs(t *testing.T, name string, buf []byte, enc Encoding, page *HistoryPage) {
	var values [][]byte
	for i := range page.Messages {
		values = append(values, backplane.AppendMessage(nil, &page.Messages[i].Message))
	}
	var w PageWriter
	zeroAllocs(t, fmt.Sprintf("encoding %s in %v", name, enc), func() {
		w.Open(buf, enc, page.ID)
		for _, value := range values {
			if err := w.Add(page.ID, aPosition, 1767225600123, value); err != nil {
				t.Fatal(err)
			}
		}
		w.Close(&page.PageBounds)
	})
}

// TestDecodeServerAllocs leaves out the frames that come once a connection, whose
// texts are strings.
func TestDecodeServerAllocs(t *testing.T) {
	_, server := vectors(t)
	for _, v := range server {
		switch v.Fields.Type {
		case "welcome", "moved", "error":
			continue
		}
		for _, enc := range []Encoding{JSON, Proto} {
			var f ServerFrame
			p := v.payload(enc)
			zeroAllocs(t, fmt.Sprintf("decoding %s in %v", v.Name, enc), func() {
				if err := DecodeServer(enc, p, &f); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

func TestCursorAllocs(t *testing.T) {
	buf := make([]byte, 0, MaxCursor)
	pos := backplane.Position{Generation: 1, Partition: 348, Offset: 41_207}
	text := AppendCursor(nil, pos)
	zeroAllocs(t, "AppendCursor", func() { AppendCursor(buf, pos) })
	zeroAllocs(t, "ParseCursor", func() { _, _ = ParseCursor(text) })
	zeroAllocs(t, "ResolveCursor", func() { _, _ = ResolveCursor(text, 1, 348) })
}

// TestDecodeTakesNoMemoryForRefused: a frame of a megabyte whose recipients are too
// many costs its Decoder no more than one that is within the limits.
func TestDecodeTakesNoMemoryForRefused(t *testing.T) {
	many := ClientFrame{Type: FrameSend, Send: Send{ID: []byte("m1")}}
	for i := range 100_000 {
		many.Send.To = append(many.Send.To, fmt.Appendf(nil, "user-%d", i))
	}
	for _, enc := range []Encoding{JSON, Proto} {
		var d Decoder
		var f ClientFrame
		p := AppendClientFrame(nil, enc, &many)
		if err := d.Decode(enc, p, &DefaultLimits, &f); err == nil {
			t.Fatal("100,000 recipients pass")
		}
		if cap(d.to) > 2*backplane.MaxRecipients || cap(d.json.scratch) > 0 {
			t.Errorf("%v: room for %d recipients and %d bytes was taken", enc, cap(d.to), cap(d.json.scratch))
		}
	}
	// So does one with very many unknown members.
	names := []byte(`{"type":"send","id":"m1"`)
	for i := range 100_000 {
		names = fmt.Appendf(names, `,"name-%d":0`, i)
	}
	names = append(names, '}')
	var strict Decoder
	var refused *Error
	n := testing.AllocsPerRun(10, func() {
		var f ClientFrame
		_ = errors.As(strict.Decode(JSON, names, &DefaultLimits, &f), &refused)
	})
	if refused == nil || refused.Code != CodeUnknownField || string(refused.ID) != "m1" {
		t.Errorf("100,000 unknown members: %v", refused)
	}
	if n > 10*maxUnknown {
		t.Errorf("100,000 unknown members cost %v allocations", n)
	}
	// A huge body in base64 is refused by its length, before it is decoded.
	var d Decoder
	var f ClientFrame
	p := fmt.Appendf(nil, `{"type":"send","id":"m1","to":["bob"],"body_base64":"%s"}`, bytes.Repeat([]byte("AAAA"), 1<<18))
	if err := d.Decode(JSON, p, &DefaultLimits, &f); err == nil {
		t.Fatal("a body of 768 KB passes")
	}
	if cap(d.json.scratch) > 0 {
		t.Errorf("%d bytes of scratch were taken", cap(d.json.scratch))
	}
}
