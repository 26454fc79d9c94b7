package wire

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
)

// TestEvents turns what a connection sees into events, which a file takes.
func TestEvents(t *testing.T) {
	c := &Conn{options: Options{URL: "ws://n/v1/connect", User: "alice", Device: "phone", Cursor: "c0", Format: Proto}, welcome: &welcome}
	bob := event.Message{MessageID: event.MessageID{1}, From: "bob", To: []string{"alice"}, ID: "b1", Kind: event.Ordinary, BodySum: event.SumOf(nil)}
	own := event.Message{MessageID: event.MessageID(theID), From: "alice", To: []string{"bob"}, ID: "m1", Kind: event.Ordinary}
	gap := Gap{From: 1, To: 4, Reason: "outbox_full", After: "c0", Before: "c9"}
	asked := page(func(p *Page) { p.Asked = History{ID: "h1", Before: "c9", Limit: 2}; p.MoreBefore = true })
	for _, test := range []struct{ got, want event.Event }{
		{c.ConnectEvent(3, 1), &event.Connect{Conn: 3, User: "alice", Device: "phone", Client: "wire", Encoding: "proto", URL: "ws://n/v1/connect",
			Cursor: "c0", Back: 1, Session: welcome.Session, Node: "node-1", MapVersion: 7, Welcome: "c0"}},
		{c.SendEvent(3, &theSend, 2), &event.Send{Conn: 3, ID: "m1", MessageID: event.MessageID(theID), To: []string{"bob"}, Kind: event.Ordinary,
			Bytes: 2, BodySum: event.SumOf([]byte("hi")), Attempt: 2}},
		{FrameEvent(3, &stored), &event.Ack{Conn: 3, ID: "m1", MessageID: event.MessageID(theID), Time: 5}},
		{FrameEvent(3, &rejected), &event.Nack{Conn: 3, ID: "m1", Code: "not_owner"}},
		{FrameEvent(3, &Ack{ID: "m1", Status: Unknown, Code: "timeout"}), &event.Unknown{Conn: 3, ID: "m1", Why: "timeout"}},
		{FrameEvent(3, delivery(1)), &event.Deliver{Conn: 3, Seq: 1, Cursor: "c1", Time: 5, Message: bob}},
		{FrameEvent(3, &Deliver{2, fromSelf}), &event.Deliver{Conn: 3, Seq: 2, Cursor: "c2", Time: 5, Self: true, Message: own}},
		{FrameEvent(3, &gap), &event.Gap{Conn: 3, FromSeq: 1, ToSeq: 4, Reason: "outbox_full", After: "c0", Before: "c9"}},
		{FrameEvent(3, &Gap{From: 1, To: 1, Reason: gapRetention, After: "c0", Before: "c9"}), &event.Gone{Conn: 3, Seq: 1, After: "c0", Before: "c9"}},
		{FrameEvent(3, &Heartbeat{4, "c4"}), &event.Heartbeat{Conn: 3, Seq: 4, Cursor: "c4"}},
		{FrameEvent(3, &toMove), &event.Moved{Conn: 3, URL: toMove.URL, Node: "node-2", MapVersion: 8}},
		{FrameEvent(3, asked), &event.Page{Conn: 3, Query: event.Query{Before: "c9", Limit: 2}, More: true,
			Entries: []event.Entry{{Cursor: "c1", Time: 5, Message: bob}, {Cursor: "c2", Time: 5, Self: true, Message: own}}}},
		{FrameEvent(3, &Page{Code: "no_history"}), &event.Page{Conn: 3, Code: "no_history"}},
		{FrameEvent(3, violation(RulePong, "why")), &event.Violation{Conn: 3, What: "pong: why"}},
		{EndEvent(3, &End{Code: 1012, Reason: "bye"}), &event.Close{Conn: 3, Code: 1012, Reason: "bye"}},
	} {
		if !reflect.DeepEqual(test.got, test.want) {
			t.Errorf("%+v, want %+v", test.got, test.want)
		}
		w := event.NewWriter(new(bytes.Buffer), func() time.Duration { return 1 })
		if err := w.Write("alice/phone", test.got); err != nil {
			t.Error(err)
		}
	}
	for _, frame := range []Frame{&Pong{}, &Error{}, &welcome} {
		if e := FrameEvent(3, frame); e != nil {
			t.Errorf("%T has the event %+v", frame, e)
		}
	}
}
