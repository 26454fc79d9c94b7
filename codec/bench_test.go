package codec

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec/godwitpb"
)

// benchSend is a usual send: one recipient and 200 bytes of text.
func benchSend() *ClientFrame {
	return &ClientFrame{Type: FrameSend, Send: Send{
		ID:   []byte("0f8fad5bd9cb469fa16570867728950e"),
		To:   [][]byte{[]byte("nora.silva42@mail.example")},
		Body: bytes.Repeat([]byte("twenty bytes of text"), 10),
	}}
}

func benchMessage() (*backplane.Message, []byte) {
	s := benchSend().Send
	m := &backplane.Message{From: []byte("ivo.kim7@mail.example"), To: s.To, ID: s.ID, Body: s.Body}
	m.MessageID = backplane.Identify([]byte("phone"), m)
	return m, backplane.AppendMessage(nil, m)
}

func bothEncodings(b *testing.B, f func(b *testing.B, enc Encoding)) {
	for _, enc := range []Encoding{JSON, Proto} {
		b.Run(enc.String(), func(b *testing.B) {
			b.ReportAllocs()
			f(b, enc)
		})
	}
}

func BenchmarkDecodeSend(b *testing.B) {
	bothEncodings(b, func(b *testing.B, enc Encoding) {
		p := AppendClientFrame(nil, enc, benchSend())
		var d Decoder
		var f ClientFrame
		b.SetBytes(int64(len(p)))
		for b.Loop() {
			if err := d.Decode(enc, p, &DefaultLimits, &f); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkDecodeSendGenerated is what the hand-written code is measured against.
func BenchmarkDecodeSendGenerated(b *testing.B) {
	p := AppendClientFrame(nil, Proto, benchSend())
	b.ReportAllocs()
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		var f godwitpb.ClientFrame
		if err := proto.Unmarshal(p, &f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendSend(b *testing.B) {
	bothEncodings(b, func(b *testing.B, enc Encoding) {
		f := benchSend()
		buf := make([]byte, 0, 1024)
		for b.Loop() {
			AppendClientFrame(buf, enc, f)
		}
	})
}

func BenchmarkAppendDeliverTail(b *testing.B) {
	bothEncodings(b, func(b *testing.B, enc Encoding) {
		m, value := benchMessage()
		pos := backplane.Position{Generation: 1, Partition: 348, Offset: 41_207}
		buf := make([]byte, 0, 1024)
		for b.Loop() {
			AppendDeliverTail(buf, enc, pos, 1767225600123, m, value, true)
		}
	})
}

func BenchmarkAppendDeliverHead(b *testing.B) {
	bothEncodings(b, func(b *testing.B, enc Encoding) {
		buf := make([]byte, 0, 128)
		for b.Loop() {
			AppendDeliverHead(buf, enc, 123_456, false)
		}
	})
}

func BenchmarkAppendAck(b *testing.B) {
	bothEncodings(b, func(b *testing.B, enc Encoding) {
		m, _ := benchMessage()
		a := &Ack{ID: m.ID, Status: backplane.Stored, MessageID: m.MessageID, Time: 1767225600123}
		buf := make([]byte, 0, 256)
		for b.Loop() {
			AppendAck(buf, enc, a)
		}
	})
}

func BenchmarkDecodeDeliver(b *testing.B) {
	bothEncodings(b, func(b *testing.B, enc Encoding) {
		m, value := benchMessage()
		p := AppendDeliverHead(nil, enc, 123_456, false)
		p = AppendDeliverTail(p, enc, backplane.Position{Generation: 1, Partition: 348, Offset: 41_207}, 1767225600123, m, value, true)
		var f ServerFrame
		b.SetBytes(int64(len(p)))
		for b.Loop() {
			if err := DecodeServer(enc, p, &f); err != nil {
				b.Fatal(err)
			}
		}
	})
}
