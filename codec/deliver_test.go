package codec

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec/godwitpb"
)

// text draws a string of 1 to max bytes of valid UTF-8.
func text(max int) *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		return []byte(rapid.StringN(1, -1, max).Draw(t, "text"))
	})
}

func drawMessage(t *rapid.T) *backplane.Message {
	m := &backplane.Message{
		From: text(backplane.MaxUserID).Draw(t, "from"),
		To:   rapid.SliceOfN(text(backplane.MaxUserID), 1, 5).Draw(t, "to"),
		ID:   text(backplane.MaxClientID).Draw(t, "id"),
		Kind: backplane.Kind(rapid.IntRange(0, 1).Draw(t, "kind")),
		TTL:  rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(1, backplane.MaxTTL)).Draw(t, "ttl"),
		Body: rapid.OneOf(text(200), rapid.SliceOfN(rapid.Byte(), 0, 200)).Draw(t, "body"),
	}
	copy(m.MessageID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "message_id"))
	return m
}

func sameMessage(a, b *backplane.Message) bool {
	return a.MessageID == b.MessageID && bytes.Equal(a.From, b.From) && sameList(a.To, b.To) &&
		bytes.Equal(a.ID, b.ID) && a.Kind == b.Kind && a.TTL == b.TTL && bytes.Equal(a.Body, b.Body)
}

// messagePB returns m as the generated code has it.
func messagePB(m *backplane.Message) *godwitpb.Message {
	pb := &godwitpb.Message{
		MessageId: m.MessageID[:], From: string(m.From), Id: string(m.ID),
		Kind: godwitpb.Kind(m.Kind), TtlMs: uint64(m.TTL), Body: m.Body,
	}
	for _, u := range m.To {
		pb.To = append(pb.To, string(u))
	}
	return pb
}

// TestMessageIsProto compares the encoding of stored messages, which package
// backplane writes by hand, with the generated code. That writes fields in order of
// their numbers, so the two differ where a body has a ttl_ms before it.
func TestMessageIsProto(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMessage(t)
		generated, err := proto.MarshalOptions{Deterministic: true}.Marshal(messagePB(m))
		if err != nil {
			t.Fatal(err)
		}
		written := backplane.AppendMessage(nil, m)
		if m.TTL == 0 && !bytes.Equal(written, generated) {
			t.Fatalf("AppendMessage writes\n%x, the generated code\n%x", written, generated)
		}
		var pb godwitpb.Message
		if err := proto.Unmarshal(written, &pb); err != nil || len(pb.ProtoReflect().GetUnknown()) > 0 {
			t.Fatalf("the generated code reads %v, %v", &pb, err)
		}
		want := messagePB(m)
		if len(want.Body) == 0 {
			want.Body = nil
		}
		if !proto.Equal(&pb, want) {
			t.Fatalf("the generated code reads %v, want %v", &pb, want)
		}
		var back backplane.Message
		if err := backplane.ParseMessage(generated, &back); err != nil || !sameMessage(&back, m) {
			t.Fatalf("ParseMessage: %+v, %v, want %+v", back, err, m)
		}
	})
}

// TestDeliver puts frames together as the server does and decodes them as clients
// do.
func TestDeliver(t *testing.T) {
	var got ServerFrame
	rapid.Check(t, func(t *rapid.T) {
		m := drawMessage(t)
		value := backplane.AppendMessage(nil, m)
		pos := backplane.Position{Generation: 1, Partition: 7, Offset: rapid.Int64Range(0, 1<<50).Draw(t, "offset")}
		seq := rapid.Uint64Range(1, 1<<53-1).Draw(t, "seq")
		self := rapid.Bool().Draw(t, "self")
		body := rapid.Bool().Draw(t, "with body")
		time := rapid.Int64Range(1, 1<<45).Draw(t, "time")

		want := &ServerFrame{Type: FrameDeliver, Deliver: Deliver{
			Seq: seq, Self: self, Cursor: AppendCursor(nil, pos), Time: time, Message: *m,
		}}
		if !body {
			want.Deliver.Message.Body = nil
		}
		for _, enc := range []Encoding{JSON, Proto} {
			p := AppendDeliverHead(nil, enc, seq, self)
			if len(p) != DeliverHeadSize(enc, seq, self) {
				t.Fatalf("%v: the head of (%d, %v) has %d bytes, DeliverHeadSize says %d", enc, seq, self, len(p), DeliverHeadSize(enc, seq, self))
			}
			p = AppendDeliverTail(p, enc, pos, time, m, value, body)
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
			var inner godwitpb.Message
			if err := proto.Unmarshal(p, &pb); err != nil {
				t.Fatal(err)
			}
			if err := proto.Unmarshal(pb.Message, &inner); err != nil {
				t.Fatal(err)
			}
			if pb.Seq != seq || pb.Self != self || pb.Time != time || pb.Cursor != string(want.Deliver.Cursor) ||
				!proto.Equal(&inner, messagePB(&want.Deliver.Message)) {
				t.Fatalf("the generated code reads %v and %v", &pb, &inner)
			}
		}
	})
}

func TestDeliverHeadSize(t *testing.T) {
	for _, seq := range []uint64{0, 1, 9, 10, 127, 128, 16383, 16384, 1<<53 - 1, math.MaxUint64} {
		for _, self := range []bool{false, true} {
			for _, enc := range []Encoding{JSON, Proto} {
				if got, want := DeliverHeadSize(enc, seq, self), len(AppendDeliverHead(nil, enc, seq, self)); got != want {
					t.Errorf("%v: DeliverHeadSize(%d, %v) = %d, the head has %d bytes", enc, seq, self, got, want)
				}
			}
		}
	}
}

// TestDeliverKeepsLaterFields: what a newer node stored reaches clients, with and
// without the body.
func TestDeliverKeepsLaterFields(t *testing.T) {
	m := &backplane.Message{From: []byte("alice"), To: [][]byte{[]byte("bob")}, ID: []byte("m1"), Body: []byte("hi")}
	later := protowire.AppendString(protowire.AppendTag(nil, 20, protowire.BytesType), "later")
	value := append(backplane.AppendMessage(nil, m), later...)
	for _, body := range []bool{true, false} {
		p := AppendDeliverTail(nil, Proto, backplane.Position{}, 1, m, value, body)
		var pb godwitpb.ServerFrame
		if err := proto.Unmarshal(p, &pb); err != nil {
			t.Fatal(err)
		}
		if !bytes.HasSuffix(pb.Message, later) {
			t.Errorf("with body %v: the later field is gone from %x", body, pb.Message)
		}
		if bytes.Contains(pb.Message, m.Body) != body {
			t.Errorf("with body %v: the message is %q", body, pb.Message)
		}
	}
}

// TestDeliverJSONAlwaysValid: ids and kinds that should never have been stored
// still make a frame that clients can parse.
func TestDeliverJSONAlwaysValid(t *testing.T) {
	m := &backplane.Message{From: []byte("a\xff"), To: [][]byte{[]byte("\xc3(")}, ID: []byte("\xed\xa0\x80"), Kind: 9, Body: []byte("x")}
	p := AppendDeliverHead(nil, JSON, 1, false)
	p = AppendDeliverTail(p, JSON, backplane.Position{}, 1, m, backplane.AppendMessage(nil, m), true)
	var f ServerFrame
	if err := DecodeServer(JSON, p, &f); err != nil {
		t.Fatalf("%v in %q", err, p)
	}
	if got := string(f.Deliver.Message.From); got != "a\ufffd" {
		t.Errorf("from is %q", got)
	}
	if f.Deliver.Message.Kind != UnknownKind {
		t.Errorf("kind is %d, want UnknownKind", f.Deliver.Message.Kind)
	}
}
