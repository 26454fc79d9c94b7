package codec

import (
	"bytes"
	"errors"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec/godwitpb"
)

// checkDecoded holds what is true of every frame that a Decoder accepts or refuses.
func checkDecoded(t *testing.T, d *Decoder, enc Encoding, payload []byte) (*ClientFrame, error) {
	before := bytes.Clone(payload)
	var f ClientFrame
	err := d.Decode(enc, payload, &DefaultLimits, &f)
	if !bytes.Equal(payload, before) {
		t.Fatal("the payload was changed")
	}
	if err != nil {
		var e *Error
		if !errors.As(err, &e) || !known(e.Code) || len(e.Detail) > maxDetail || !utf8.ValidString(e.Detail) {
			t.Fatalf("%#v is no *Error as documented", err)
		}
		if e.ID != nil && (len(e.ID) == 0 || len(e.ID) > backplane.MaxClientID || !utf8.Valid(e.ID)) {
			t.Fatalf("the error has the id %q", e.ID)
		}
		return nil, err
	}
	if len(payload) > DefaultLimits.MaxFrame(enc) && enc == Proto {
		t.Fatalf("a frame of %d bytes passed, MaxFrame says %d", len(payload), DefaultLimits.MaxFrame(enc))
	}
	switch f.Type {
	case FrameSend:
		if len(f.Send.ID) == 0 || len(f.Send.ID) > backplane.MaxClientID || !utf8.Valid(f.Send.ID) ||
			len(f.Send.To) == 0 || len(f.Send.To) > backplane.MaxRecipients ||
			len(f.Send.Body) > backplane.MaxBody || !f.Send.Kind.Valid() || f.Send.TTL < 0 || f.Send.TTL > backplane.MaxTTL {
			t.Fatalf("%+v is beyond the limits", f.Send)
		}
		for i, u := range f.Send.To {
			if backplane.ValidUser(u) != nil {
				t.Fatalf("%q is no user", u)
			}
			for _, other := range f.Send.To[:i] {
				if bytes.Equal(u, other) {
					t.Fatalf("%q is there twice", u)
				}
			}
		}
	case FrameHistory:
		h := &f.History
		if len(h.ID) == 0 || len(h.ID) > backplane.MaxClientID || !utf8.Valid(h.ID) || h.Limit < 1 || h.Limit > MaxPage ||
			len(h.Around) > 0 && len(h.After)+len(h.Before) > 0 || len(h.Peer) > 0 && backplane.ValidUser(h.Peer) != nil {
			t.Fatalf("%+v is beyond the limits", h)
		}
		for _, cursor := range [][]byte{h.After, h.Before, h.Around} {
			if _, err := ParseCursor(cursor); len(cursor) > 0 && err != nil {
				t.Fatalf("%q is no cursor", cursor)
			}
		}
	case FrameRefresh, FramePing:
	default:
		t.Fatalf("decoded a %v", f.Type)
	}

	// It survives both encodings.
	for _, enc := range []Encoding{JSON, Proto} {
		var other Decoder
		var got ClientFrame
		p := AppendClientFrame(nil, enc, &f)
		if err := other.Decode(enc, p, &DefaultLimits, &got); err != nil {
			t.Fatalf("%v: %v in %q", enc, err, p)
		}
		if !sameClientFrame(&got, &f) {
			t.Fatalf("%v: came back as %+v, want %+v", enc, got, f)
		}
	}
	return &f, nil
}

func known(code backplane.Code) bool {
	for _, c := range codes {
		if c.Code == code {
			return true
		}
	}
	return false
}

func FuzzDecodeJSON(f *testing.F) {
	client, server := vectors(f)
	for _, v := range append(client, server...) {
		f.Add([]byte(v.JSON))
	}
	f.Add([]byte(`{"to":["\u0062ob"],"id":"m1","type":"send","body_base64":"AA=="}`))
	f.Add([]byte(`{"type":"send","id":"m1","to":["bob"],"x":{"y":[1,2,{"z":null}]}}`))
	f.Add([]byte(`{"type":"send","id":"m1","to":["bob","bob"],"kind":"signal"}`))
	f.Add([]byte(`{"type":"send","id":"m1","to":["bob"],"ttl_ms":1e3}`))
	f.Add([]byte(`{"limit":101,"around":"AQHcAgA","after":"AQHcAgA","id":"h1","type":"history"}`))
	var d Decoder
	f.Fuzz(func(t *testing.T, p []byte) { checkDecoded(t, &d, JSON, p) })
}

// FuzzDecodeProto compares with the generated code in both directions.
func FuzzDecodeProto(f *testing.F) {
	client, server := vectors(f)
	for _, v := range append(client, server...) {
		f.Add([]byte(v.Proto))
	}
	f.Add([]byte(send(id("m1"), to("bob"), to("bob"))))
	f.Add([]byte(send(kind(1), body("x"), to("bob"), id("m1"))))
	f.Add([]byte(send(id("m1"), to("bob"), num(nil, 6, 60))))
	f.Add([]byte(send(id("m1"), to("bob"), ttl(1<<63))))
	f.Add([]byte(history(id("h1"), cursorField(fieldHistoryAround), cursorField(fieldHistoryAfter))))
	f.Add([]byte(history(id("h1"), str(nil, fieldHistoryPeer, "bob"), num(nil, fieldHistoryLimit, 1<<32+5))))
	var d Decoder
	f.Fuzz(func(t *testing.T, p []byte) {
		got, err := checkDecoded(t, &d, Proto, p)
		var pb godwitpb.ClientFrame
		pbErr := proto.Unmarshal(p, &pb)
		if err == nil {
			if pbErr != nil {
				t.Fatalf("the generated code refuses what passed: %v", pbErr)
			}
			if want := clientFrameOf(&pb); !sameClientFrame(got, want) {
				t.Fatalf("decoded as %+v, the generated code reads %+v", got, want)
			}
			return
		}
		if pbErr != nil || hasUnknown(pb.ProtoReflect()) {
			return
		}
		// The generated code reads it. Written anew, without fields given twice, it
		// must pass if it keeps the limits.
		want := clientFrameOf(&pb)
		if !withinLimits(want) {
			return
		}
		again, err := proto.Marshal(&pb)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := checkDecoded(t, &d, Proto, again); err != nil || !sameClientFrame(got, want) {
			t.Fatalf("%v in %x, which the generated code wrote", err, again)
		}
	})
}

// clientFrameOf returns what the generated code read.
func clientFrameOf(pb *godwitpb.ClientFrame) *ClientFrame {
	switch x := pb.Frame.(type) {
	case *godwitpb.ClientFrame_Send:
		f := &ClientFrame{Type: FrameSend, Send: Send{ID: []byte(x.Send.Id), Body: x.Send.Body, Kind: UnknownKind, TTL: -1}}
		for _, u := range x.Send.To {
			f.Send.To = append(f.Send.To, []byte(u))
		}
		if k := x.Send.Kind; k >= 0 && k <= 1 {
			f.Send.Kind = backplane.Kind(k)
		}
		if ms := x.Send.TtlMs; ms <= backplane.MaxTTL {
			f.Send.TTL = int64(ms)
		}
		return f
	case *godwitpb.ClientFrame_History:
		h := x.History
		f := &ClientFrame{Type: FrameHistory, History: History{
			ID: []byte(h.Id), After: []byte(h.After), Before: []byte(h.Before), Around: []byte(h.Around),
			Limit: int(h.Limit), Peer: []byte(h.Peer),
		}}
		if h.Limit == 0 {
			f.History.Limit = DefaultPage
		}
		return f
	case *godwitpb.ClientFrame_Refresh:
		return &ClientFrame{Type: FrameRefresh, Token: []byte(x.Refresh.Token)}
	case *godwitpb.ClientFrame_Ping:
		return &ClientFrame{Type: FramePing}
	}
	return &ClientFrame{}
}

// withinLimits is the rule for client frames in its plainest form.
func withinLimits(f *ClientFrame) bool {
	switch f.Type {
	case FramePing:
		return true
	case FrameRefresh:
		return len(f.Token) <= MaxToken
	case FrameSend:
		users := map[string]bool{}
		for _, u := range f.Send.To {
			if len(u) == 0 || len(u) > 128 {
				return false
			}
			users[string(u)] = true
		}
		n := len(f.Send.To)
		return n == len(users) && n >= 1 && n <= 64 && len(f.Send.ID) >= 1 && len(f.Send.ID) <= 64 &&
			len(f.Send.Body) <= 65536 && f.Send.Kind != UnknownKind && f.Send.TTL >= 0
	case FrameHistory:
		h := &f.History
		for _, cursor := range [][]byte{h.After, h.Before, h.Around} {
			if _, err := ParseCursor(cursor); len(cursor) > 0 && err != nil {
				return false
			}
		}
		return len(h.ID) >= 1 && len(h.ID) <= 64 && len(h.Peer) <= 128 && h.Limit <= 100 &&
			(len(h.Around) == 0 || len(h.After)+len(h.Before) == 0)
	}
	return false
}

// hasUnknown reports whether m or a message in it has unknown fields.
func hasUnknown(m protoreflect.Message) bool {
	unknown := len(m.GetUnknown()) > 0
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.Message() != nil && !f.IsList() {
			unknown = unknown || hasUnknown(v.Message())
		}
		return true
	})
	return unknown
}

// FuzzDecodeServer holds that clients survive any bytes, and that what they read of
// a frame without messages is what a server would write.
func FuzzDecodeServer(f *testing.F) {
	_, server := vectors(f)
	for _, v := range server {
		f.Add(true, []byte(v.JSON))
		f.Add(false, []byte(v.Proto))
	}
	f.Add(true, []byte(`{"type":"history_page","messages":[{},{"seq":1}]}`))
	f.Add(false, []byte(str(str(nil, fieldServerHistoryPage, string(str(nil, fieldPageMessages, ""))), fieldServerHistoryPage, "")))
	var got, again ServerFrame
	f.Fuzz(func(t *testing.T, asJSON bool, p []byte) {
		enc := Proto
		if asJSON {
			enc = JSON
		}
		before := bytes.Clone(p)
		err := DecodeServer(enc, p, &got)
		if !bytes.Equal(p, before) {
			t.Fatal("the payload was changed")
		}
		if len(got.HistoryPage.Messages) > MaxPage {
			t.Fatalf("a page of %d messages", len(got.HistoryPage.Messages))
		}
		if err != nil || got.Type == FrameUnknown || got.Type == FrameDeliver || len(got.HistoryPage.Messages) > 0 {
			return
		}
		// A protobuf payload may hold several frames, of which the last counts, and
		// text that is not UTF-8, which JSON cannot carry: write it once, then compare.
		only := appendServer(t, nil, enc, &got, true)
		if err := DecodeServer(enc, only, &again); err != nil || again.Type != got.Type {
			t.Fatalf("%v in %q, written of %+v", err, only, got)
		}
		if twice := appendServer(t, nil, enc, &again, true); !bytes.Equal(twice, only) {
			t.Fatalf("written as %q, and read and written again as %q", only, twice)
		}
	})
}
