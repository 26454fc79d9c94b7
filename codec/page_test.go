package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec/godwitpb"
)

// TestPage puts pages together as the server does and decodes them as clients do.
func TestPage(t *testing.T) {
	var got ServerFrame // used again for every frame, so that nothing may linger
	var w PageWriter
	rapid.Check(t, func(t *rapid.T) {
		user := []byte("alice")
		cursor := func(what string) []byte {
			return AppendCursor(nil, backplane.Position{Generation: 1, Partition: 7, Offset: rapid.Int64Range(-1, 1<<50).Draw(t, what)})
		}
		want := &ServerFrame{Type: FrameHistoryPage, HistoryPage: HistoryPage{ID: text(backplane.MaxClientID).Draw(t, "id"), PageBounds: PageBounds{
			After: cursor("after"), Before: cursor("before"),
			MoreAfter: rapid.Bool().Draw(t, "more after"), MoreBefore: rapid.Bool().Draw(t, "more before"),
		}}}
		page := &want.HistoryPage
		if rapid.Bool().Draw(t, "some is gone") {
			page.Gone = cursor("gone")
		}
		var values [][]byte
		var positions []backplane.Position
		for range rapid.IntRange(0, 5).Draw(t, "messages") {
			m := drawMessage(t)
			if rapid.Bool().Draw(t, "self") {
				m.From = user
			}
			pos := backplane.Position{Generation: 1, Partition: 7, Offset: rapid.Int64Range(0, 1<<50).Draw(t, "offset")}
			page.Messages = append(page.Messages, Deliver{
				Self: bytes.Equal(m.From, user), Cursor: AppendCursor(nil, pos),
				Time: rapid.Int64Range(1, 1<<45).Draw(t, "time"), Message: *m,
			})
			values, positions = append(values, backplane.AppendMessage(nil, m)), append(positions, pos)
		}
		for _, enc := range []Encoding{JSON, Proto} {
			w.Open([]byte("before"), enc, page.ID)
			for i, value := range values {
				if err := w.Add(user, positions[i], page.Messages[i].Time, value); err != nil {
					t.Fatal(err)
				}
			}
			p, ok := bytes.CutPrefix(w.Close(&page.PageBounds), []byte("before"))
			if !ok {
				t.Fatal("the page is not appended")
			}
			if err := DecodeServer(enc, p, &got); err != nil {
				t.Fatalf("%v: %v in %q", enc, err, p)
			}
			if !sameServerFrame(&got, want) {
				t.Fatalf("%v: decoded as %+v, want %+v", enc, got, want)
			}
			if enc == JSON {
				if !json.Valid(p) {
					t.Fatalf("not valid JSON: %q", p)
				}
				continue
			}
			var pb godwitpb.ServerFrame
			if err := proto.Unmarshal(p, &pb); err != nil {
				t.Fatal(err)
			}
			checkPagePB(t, pb.GetHistoryPage(), page)
		}
	})
}

func checkPagePB(t *rapid.T, got *godwitpb.HistoryPage, want *HistoryPage) {
	if got.GetId() != string(want.ID) || got.Code != "" || got.After != string(want.After) || got.Before != string(want.Before) ||
		got.MoreAfter != want.MoreAfter || got.MoreBefore != want.MoreBefore || got.Gone != string(want.Gone) ||
		len(got.Messages) != len(want.Messages) {
		t.Fatalf("the generated code reads %v, want %+v", got, want)
	}
	for i, d := range got.Messages {
		w := &want.Messages[i]
		var m godwitpb.Message
		if err := proto.Unmarshal(d.Message, &m); err != nil {
			t.Fatal(err)
		}
		pb := messagePB(&w.Message)
		if len(pb.Body) == 0 {
			pb.Body = nil
		}
		if d.Self != w.Self || d.Cursor != string(w.Cursor) || d.Time != w.Time || !proto.Equal(&m, pb) {
			t.Fatalf("the generated code reads %v with %v, want %+v", d, &m, w)
		}
	}
}

// TestPageKeepsLaterFields: what a newer node stored reaches clients.
func TestPageKeepsLaterFields(t *testing.T) {
	later := str(nil, 20, "later")
	value := append(backplane.AppendMessage(nil, &backplane.Message{From: []byte("alice"), Body: []byte("hi")}), later...)
	var w PageWriter
	w.Open(nil, Proto, []byte("h1"))
	if err := w.Add([]byte("bob"), aPosition, 1, value); err != nil {
		t.Fatal(err)
	}
	var pb godwitpb.ServerFrame
	if err := proto.Unmarshal(w.Close(&PageBounds{}), &pb); err != nil {
		t.Fatal(err)
	}
	if got := pb.GetHistoryPage().Messages[0].Message; !bytes.Equal(got, value) {
		t.Errorf("the message is %x, want %x", got, value)
	}
}

// TestPageWithoutJunk: bytes that are no message leave a page as it was.
func TestPageWithoutJunk(t *testing.T) {
	good := backplane.AppendMessage(nil, &backplane.Message{From: []byte("alice")})
	for _, enc := range []Encoding{JSON, Proto} {
		var pages [2][]byte
		for i := range pages {
			var w PageWriter
			w.Open(nil, enc, []byte("h1"))
			for range 2 {
				if i == 1 {
					if err := w.Add(nil, aPosition, 1, []byte("junk")); !errors.Is(err, backplane.ErrBadMessage) {
						t.Errorf("Add of junk: %v", err)
					}
				}
				if err := w.Add(nil, aPosition, 1, good); err != nil {
					t.Fatal(err)
				}
			}
			pages[i] = w.Close(&PageBounds{})
		}
		if !bytes.Equal(pages[0], pages[1]) {
			t.Errorf("%v: with junk\n%q, without\n%q", enc, pages[1], pages[0])
		}
	}
}

// TestPageOfTooMany: a client takes no memory for more messages than it can ask for.
func TestPageOfTooMany(t *testing.T) {
	value := backplane.AppendMessage(nil, &backplane.Message{From: []byte("alice")})
	var w PageWriter
	for _, n := range []int{MaxPage, MaxPage + 1, 10 * MaxPage} {
		for _, enc := range []Encoding{JSON, Proto} {
			w.Open(nil, enc, []byte("h1"))
			for range n {
				if err := w.Add(nil, aPosition, 1, value); err != nil {
					t.Fatal(err)
				}
			}
			p := w.Close(&PageBounds{})
			var f ServerFrame
			err := DecodeServer(enc, p, &f)
			if n <= MaxPage {
				if err != nil || len(f.HistoryPage.Messages) != n {
					t.Errorf("%v: %d of %d messages, %v", enc, len(f.HistoryPage.Messages), n, err)
				}
				continue
			}
			var e *Error
			if !errors.As(err, &e) || e.Code != CodeBadFrame || cap(f.HistoryPage.Messages) > 2*MaxPage {
				t.Errorf("%v: %v, with room for %d messages", enc, err, cap(f.HistoryPage.Messages))
			}
		}
	}
}

// TestMaxServerFrame fills pages as the limits allow: with the largest messages, and
// with the most.
func TestMaxServerFrame(t *testing.T) {
	large := &backplane.Message{
		From: bytes.Repeat([]byte{0}, backplane.MaxUserID), ID: bytes.Repeat([]byte{0}, backplane.MaxClientID),
		Kind: backplane.KindSignal, TTL: backplane.MaxTTL, Body: bytes.Repeat([]byte{0}, backplane.MaxBody),
	}
	for range backplane.MaxRecipients {
		large.To = append(large.To, large.From)
	}
	mean := *large
	mean.Body = nil
	mean.To = mean.To[:8]
	far := backplane.Position{Generation: 1<<32 - 1, Partition: backplane.MaxPartitions - 1, Offset: 1<<63 - 2}
	bounds := PageBounds{
		After: AppendCursor(nil, far), Before: AppendCursor(nil, far), Gone: AppendCursor(nil, far), MoreAfter: true, MoreBefore: true,
	}
	for what, m := range map[string]*backplane.Message{"the largest": large, "as many as there can be": &mean} {
		value := backplane.AppendMessage(nil, m)
		for _, enc := range []Encoding{JSON, Proto} {
			var w PageWriter
			w.Open(nil, enc, large.ID)
			n := 0
			for size := 0; n < MaxPage && size < PageBytes; n++ {
				if err := w.Add(large.From, far, 1<<45, value); err != nil {
					t.Fatal(err)
				}
				size += len(value)
			}
			if p := w.Close(&bounds); len(p) > MaxServerFrame(enc) {
				t.Errorf("%v: a page with %d of %s has %d bytes, MaxServerFrame says %d", enc, n, what, len(p), MaxServerFrame(enc))
			}
			p := AppendDeliverHead(nil, enc, 1<<64-1, true)
			if p = AppendDeliverTail(p, enc, far, 1<<45, m, value, true); len(p) > MaxServerFrame(enc) {
				t.Errorf("%v: a deliver of %s has %d bytes, MaxServerFrame says %d", enc, what, len(p), MaxServerFrame(enc))
			}
		}
	}
}

func BenchmarkPage(b *testing.B) {
	bothEncodings(b, func(b *testing.B, enc Encoding) {
		_, value := benchMessage()
		bounds := PageBounds{After: []byte(aCursor), Before: []byte(aCursor), MoreBefore: true}
		buf := make([]byte, 0, 64<<10)
		var w PageWriter
		id, user := []byte("h1"), []byte("alice")
		size := 0
		for b.Loop() {
			w.Open(buf, enc, id)
			for range DefaultPage {
				if err := w.Add(user, aPosition, 1767225600123, value); err != nil {
					b.Fatal(err)
				}
			}
			size = len(w.Close(&bounds))
		}
		b.SetBytes(int64(size))
	})
}

func ExamplePageWriter() {
	value := backplane.AppendMessage(nil, &backplane.Message{
		MessageID: backplane.MessageID{0x50, 0x8e}, From: []byte("alice"), To: [][]byte{[]byte("bob")}, ID: []byte("m1"), Body: []byte("hi"),
	})
	var w PageWriter
	w.Open(nil, JSON, []byte("h1"))
	if err := w.Add([]byte("bob"), aPosition, 1767225600123, value); err != nil {
		panic(err)
	}
	fmt.Printf("%s\n", w.Close(&PageBounds{After: []byte(aCursor), Before: []byte(aCursor), MoreBefore: true}))
	// Output:
	// {"type":"history_page","id":"h1","messages":[{"cursor":"AQHcAvjBAg","time":1767225600123,"message_id":"508e0000000000000000000000000000","from":"alice","to":["bob"],"id":"m1","kind":"message","body":"hi"}],"after":"AQHcAvjBAg","before":"AQHcAvjBAg","more_after":false,"more_before":true}
}
