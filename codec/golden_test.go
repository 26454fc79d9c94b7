package codec

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec/godwitpb"
)

// vector is one frame of testdata/frames.json.
type vector struct {
	Name      string          `json:"name"`
	JSON      string          `json:"json"`
	Proto     hexBytes        `json:"proto"`
	RawFields json.RawMessage `json:"fields"`
	Fields    fields          `json:"-"`
}

// fields is every field that a frame of the vectors may have.
type fields struct {
	Type         string        `json:"type"`
	ID           string        `json:"id"`
	To           []string      `json:"to"`
	TTL          int64         `json:"ttl_ms"`
	Around       string        `json:"around"`
	Limit        int           `json:"limit"`
	Peer         string        `json:"peer"`
	Messages     []fields      `json:"messages"`
	MoreAfter    bool          `json:"more_after"`
	MoreBefore   bool          `json:"more_before"`
	Gone         string        `json:"gone"`
	Kind         string        `json:"kind"`
	Body         *hexBytes     `json:"body_hex"`
	Token        string        `json:"token"`
	Session      string        `json:"session"`
	User         string        `json:"user"`
	Node         string        `json:"node"`
	MapVersion   uint64        `json:"map_version"`
	Cursor       string        `json:"cursor"`
	Resumed      bool          `json:"resumed"`
	Limits       *vectorLimits `json:"limits"`
	HeartbeatMS  uint32        `json:"heartbeat_ms"`
	Status       string        `json:"status"`
	Code         string        `json:"code"`
	MessageID    hexBytes      `json:"message_id"`
	Time         int64         `json:"time"`
	Seq          uint64        `json:"seq"`
	Self         bool          `json:"self"`
	From         string        `json:"from"`
	FromSeq      uint64        `json:"from_seq"`
	ToSeq        uint64        `json:"to_seq"`
	Reason       string        `json:"reason"`
	After        string        `json:"after"`
	Before       string        `json:"before"`
	URL          string        `json:"url"`
	RetryAfterMS uint32        `json:"retry_after_ms"`
	Message      string        `json:"message"`
}

type vectorLimits struct {
	BodyBytes      uint32 `json:"body_bytes"`
	Recipients     uint32 `json:"recipients"`
	QueueMessages  uint32 `json:"queue_messages"`
	QueueBytes     uint32 `json:"queue_bytes"`
	InFlight       uint32 `json:"in_flight"`
	SendsPerSecond uint32 `json:"sends_per_second"`
	PageMessages   uint32 `json:"page_messages"`
	StartMessages  uint32 `json:"start_messages"`
}

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// vectors reads testdata/frames.json.
func vectors(t testing.TB) (client, server []vector) {
	t.Helper()
	b, err := os.ReadFile("testdata/frames.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Client, Server []vector }
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]vector{file.Client, file.Server} {
		for i := range list {
			dec := json.NewDecoder(bytes.NewReader(list[i].RawFields))
			dec.DisallowUnknownFields()
			if err := dec.Decode(&list[i].Fields); err != nil {
				t.Fatalf("%s: %v", list[i].Name, err)
			}
		}
	}
	return file.Client, file.Server
}

// text returns the frame in an encoding.
func (v *vector) payload(enc Encoding) []byte {
	if enc == Proto {
		return v.Proto
	}
	return []byte(v.JSON)
}

func (f *fields) body() []byte {
	if f.Body == nil {
		return nil
	}
	return *f.Body
}

func (f *fields) recipients() (to [][]byte) {
	for _, u := range f.To {
		to = append(to, []byte(u))
	}
	return to
}

func (f *fields) clientFrame() *ClientFrame {
	switch f.Type {
	case "send":
		c := &ClientFrame{Type: FrameSend, Send: Send{ID: []byte(f.ID), To: f.recipients(), TTL: f.TTL, Body: f.body()}}
		if f.Kind == "signal" {
			c.Send.Kind = backplane.KindSignal
		}
		return c
	case "refresh":
		return &ClientFrame{Type: FrameRefresh, Token: []byte(f.Token)}
	case "history":
		c := &ClientFrame{Type: FrameHistory, History: History{
			ID: []byte(f.ID), After: []byte(f.After), Before: []byte(f.Before), Around: []byte(f.Around),
			Limit: f.Limit, Peer: []byte(f.Peer),
		}}
		if f.Limit == 0 {
			c.History.Limit = DefaultPage
		}
		return c
	}
	return &ClientFrame{Type: FramePing}
}

func (f *fields) clientPB() *godwitpb.ClientFrame {
	switch f.Type {
	case "send":
		return &godwitpb.ClientFrame{Frame: &godwitpb.ClientFrame_Send{Send: &godwitpb.Send{
			Id: f.ID, To: f.To, Body: f.body(), Kind: f.kindPB(), TtlMs: uint64(f.TTL),
		}}}
	case "refresh":
		return &godwitpb.ClientFrame{Frame: &godwitpb.ClientFrame_Refresh{Refresh: &godwitpb.Refresh{Token: f.Token}}}
	case "history":
		return &godwitpb.ClientFrame{Frame: &godwitpb.ClientFrame_History{History: &godwitpb.History{
			Id: f.ID, After: f.After, Before: f.Before, Around: f.Around, Limit: uint32(f.Limit), Peer: f.Peer,
		}}}
	}
	return &godwitpb.ClientFrame{Frame: &godwitpb.ClientFrame_Ping{Ping: &godwitpb.Ping{}}}
}

func (f *fields) kindPB() godwitpb.Kind {
	if f.Kind == "signal" {
		return godwitpb.Kind_KIND_SIGNAL
	}
	return godwitpb.Kind_KIND_MESSAGE
}

// message returns the stored message of a deliver, or of one in a page.
func (f *fields) message() *backplane.Message {
	m := &backplane.Message{From: []byte(f.From), To: f.recipients(), ID: []byte(f.ID), TTL: f.TTL, Body: f.body()}
	m.MessageID = backplane.MessageID(f.MessageID)
	if f.Kind == "signal" {
		m.Kind = backplane.KindSignal
	}
	return m
}

func (f *fields) status() backplane.Status { return statusOf([]byte(f.Status)) }

func (f *fields) messageID() (id backplane.MessageID) {
	copy(id[:], f.MessageID)
	return id
}

func (f *fields) serverFrame(t *testing.T) *ServerFrame {
	s := &ServerFrame{}
	cursor := func(text string) []byte { return []byte(text) }
	switch f.Type {
	case "welcome":
		id, err := parseSessionID([]byte(f.Session))
		if err != nil {
			t.Fatal(err)
		}
		s.Type = FrameWelcome
		s.Welcome = Welcome{
			Session: id, User: f.User, Node: f.Node, MapVersion: f.MapVersion,
			Cursor: cursor(f.Cursor), Resumed: f.Resumed, Limits: SessionLimits(*f.Limits),
			Heartbeat: time.Duration(f.HeartbeatMS) * time.Millisecond,
		}
	case "ack":
		s.Type = FrameAck
		s.Ack = Ack{ID: []byte(f.ID), Status: f.status(), Code: backplane.Code(f.Code), MessageID: f.messageID(), Time: f.Time}
	case "deliver":
		s.Type = FrameDeliver
		s.Deliver = f.deliver()
	case "gap":
		s.Type = FrameGap
		s.Gap = Gap{FromSeq: f.FromSeq, ToSeq: f.ToSeq, Reason: GapReason(f.Reason), After: cursor(f.After), Before: cursor(f.Before)}
	case "heartbeat":
		s.Type = FrameHeartbeat
		s.Heartbeat = Heartbeat{Seq: f.Seq, Cursor: cursor(f.Cursor)}
	case "history_page":
		s.Type = FrameHistoryPage
		s.HistoryPage = HistoryPage{ID: []byte(f.ID), Code: backplane.Code(f.Code), PageBounds: PageBounds{
			After: cursor(f.After), Before: cursor(f.Before), MoreAfter: f.MoreAfter, MoreBefore: f.MoreBefore, Gone: cursor(f.Gone),
		}}
		for i := range f.Messages {
			s.HistoryPage.Messages = append(s.HistoryPage.Messages, f.Messages[i].deliver())
		}
	case "pong":
		s.Type = FramePong
	case "moved":
		s.Type = FrameMoved
		s.Moved = Moved{URL: f.URL, Node: f.Node, MapVersion: f.MapVersion, RetryAfter: time.Duration(f.RetryAfterMS) * time.Millisecond}
	case "error":
		s.Type = FrameError
		s.Error = ErrorFrame{Code: backplane.Code(f.Code), Message: f.Message}
	default:
		t.Fatalf("no frame of type %q", f.Type)
	}
	return s
}

func (f *fields) deliver() Deliver {
	return Deliver{Seq: f.Seq, Self: f.Self, Cursor: []byte(f.Cursor), Time: f.Time, Message: *f.message()}
}

// value returns the message as it stands in the log. The generated code reads it as it
// was meant; it writes the fields in another order, with the body before the ttl_ms.
func (f *fields) value(t *testing.T) []byte {
	value := backplane.AppendMessage(nil, f.message())
	var got godwitpb.Message
	if err := proto.Unmarshal(value, &got); err != nil {
		t.Fatal(err)
	}
	want := &godwitpb.Message{
		MessageId: f.MessageID, From: f.From, To: f.To, Id: f.ID, Kind: f.kindPB(), TtlMs: uint64(f.TTL), Body: f.body(),
	}
	if len(want.Body) == 0 {
		want.Body = nil
	}
	if !proto.Equal(&got, want) {
		t.Fatalf("the generated code reads %v, want %v", &got, want)
	}
	return value
}

func (f *fields) serverPB(t *testing.T) *godwitpb.ServerFrame {
	switch f.Type {
	case "welcome":
		l := f.Limits
		return &godwitpb.ServerFrame{Frame: &godwitpb.ServerFrame_Welcome{Welcome: &godwitpb.Welcome{
			Session: f.Session, User: f.User, Node: f.Node, MapVersion: f.MapVersion, Cursor: f.Cursor, Resumed: f.Resumed,
			Limits: &godwitpb.SessionLimits{
				BodyBytes: l.BodyBytes, Recipients: l.Recipients, QueueMessages: l.QueueMessages,
				QueueBytes: l.QueueBytes, InFlight: l.InFlight, SendsPerSecond: l.SendsPerSecond,
				PageMessages: l.PageMessages, StartMessages: l.StartMessages,
			},
			HeartbeatMs: f.HeartbeatMS,
		}}}
	case "ack":
		return &godwitpb.ServerFrame{Frame: &godwitpb.ServerFrame_Ack{Ack: &godwitpb.Ack{
			Id: f.ID, Status: godwitpb.Status(f.status()), Code: f.Code, MessageId: f.MessageID, Time: f.Time,
		}}}
	case "deliver":
		return &godwitpb.ServerFrame{Seq: f.Seq, Self: f.Self, Cursor: f.Cursor, Time: f.Time, Message: f.value(t)}
	case "gap":
		return &godwitpb.ServerFrame{Frame: &godwitpb.ServerFrame_Gap{Gap: &godwitpb.Gap{
			FromSeq: f.FromSeq, ToSeq: f.ToSeq, Reason: f.Reason, After: f.After, Before: f.Before,
		}}}
	case "heartbeat":
		return &godwitpb.ServerFrame{Frame: &godwitpb.ServerFrame_Heartbeat{Heartbeat: &godwitpb.Heartbeat{Seq: f.Seq, Cursor: f.Cursor}}}
	case "history_page":
		page := &godwitpb.HistoryPage{
			Id: f.ID, Code: f.Code, After: f.After, Before: f.Before, MoreAfter: f.MoreAfter, MoreBefore: f.MoreBefore, Gone: f.Gone,
		}
		for i := range f.Messages {
			m := &f.Messages[i]
			page.Messages = append(page.Messages, &godwitpb.Delivery{Self: m.Self, Cursor: m.Cursor, Time: m.Time, Message: m.value(t)})
		}
		return &godwitpb.ServerFrame{Frame: &godwitpb.ServerFrame_HistoryPage{HistoryPage: page}}
	case "pong":
		return &godwitpb.ServerFrame{Frame: &godwitpb.ServerFrame_Pong{Pong: &godwitpb.Pong{}}}
	case "moved":
		return &godwitpb.ServerFrame{Frame: &godwitpb.ServerFrame_Moved{Moved: &godwitpb.Moved{
			Url: f.URL, Node: f.Node, MapVersion: f.MapVersion, RetryAfterMs: f.RetryAfterMS,
		}}}
	case "error":
		return &godwitpb.ServerFrame{Frame: &godwitpb.ServerFrame_Error{Error: &godwitpb.Error{Code: f.Code, Message: f.Message}}}
	}
	t.Fatalf("no frame of type %q", f.Type)
	return nil
}

// appendServer appends a frame as a server would.
func appendServer(t testing.TB, dst []byte, enc Encoding, f *ServerFrame, body bool) []byte {
	switch f.Type {
	case FrameWelcome:
		return AppendWelcome(dst, enc, &f.Welcome)
	case FrameAck:
		return AppendAck(dst, enc, &f.Ack)
	case FrameDeliver:
		pos, err := ParseCursor(f.Deliver.Cursor)
		if err != nil {
			t.Fatal(err)
		}
		m := &f.Deliver.Message
		dst = AppendDeliverHead(dst, enc, f.Deliver.Seq, f.Deliver.Self)
		return AppendDeliverTail(dst, enc, pos, f.Deliver.Time, m, backplane.AppendMessage(nil, m), body)
	case FrameGap:
		return AppendGap(dst, enc, &f.Gap)
	case FrameHeartbeat:
		return AppendHeartbeat(dst, enc, &f.Heartbeat)
	case FrameHistoryPage:
		return appendPage(t, dst, enc, &f.HistoryPage)
	case FramePong:
		return AppendPong(dst, enc)
	case FrameMoved:
		return AppendMoved(dst, enc, &f.Moved)
	case FrameError:
		return AppendError(dst, enc, &f.Error)
	}
	t.Fatalf("%v is no frame of a server", f.Type)
	return nil
}

// pages is used again for every page, so that nothing may linger.
var pages PageWriter

func appendPage(t testing.TB, dst []byte, enc Encoding, p *HistoryPage) []byte {
	if p.Code != "" {
		return AppendPageRefusal(dst, enc, p.ID, p.Code)
	}
	pages.Open(dst, enc, p.ID)
	for i := range p.Messages {
		d := &p.Messages[i]
		pos, err := ParseCursor(d.Cursor)
		if err != nil {
			t.Fatal(err)
		}
		user := d.Message.From
		if !d.Self {
			user = []byte("somebody else")
		}
		if err := pages.Add(user, pos, d.Time, backplane.AppendMessage(nil, &d.Message)); err != nil {
			t.Fatal(err)
		}
	}
	return pages.Close(&p.PageBounds)
}

func TestClientVectors(t *testing.T) {
	client, _ := vectors(t)
	var d Decoder
	for _, v := range client {
		t.Run(v.Name, func(t *testing.T) {
			want := v.Fields.clientFrame()
			for _, enc := range []Encoding{JSON, Proto} {
				if got := AppendClientFrame(nil, enc, want); !bytes.Equal(got, v.payload(enc)) {
					t.Errorf("%v: encoded as\n%q, want\n%q", enc, got, v.payload(enc))
				}
				var got ClientFrame
				if err := d.Decode(enc, v.payload(enc), &DefaultLimits, &got); err != nil {
					t.Errorf("%v: %v", enc, err)
				} else if !sameClientFrame(&got, want) {
					t.Errorf("%v: decoded as %+v, want %+v", enc, got, want)
				}
			}
			checkGenerated(t, &v, v.Fields.clientPB())
			checkPlainJSON(t, &v)
		})
	}
}

func TestServerVectors(t *testing.T) {
	_, server := vectors(t)
	var got ServerFrame // used again for every frame, so that nothing may linger
	for _, v := range server {
		t.Run(v.Name, func(t *testing.T) {
			want := v.Fields.serverFrame(t)
			body := v.Fields.Body != nil
			for _, enc := range []Encoding{JSON, Proto} {
				if got := appendServer(t, nil, enc, want, body); !bytes.Equal(got, v.payload(enc)) {
					t.Errorf("%v: encoded as\n%q, want\n%q", enc, got, v.payload(enc))
				}
				if err := DecodeServer(enc, v.payload(enc), &got); err != nil {
					t.Errorf("%v: %v", enc, err)
				} else if !sameServerFrame(&got, want) {
					t.Errorf("%v: decoded as %+v, want %+v", enc, got, want)
				}
			}
			checkGenerated(t, &v, v.Fields.serverPB(t))
			checkPlainJSON(t, &v)
		})
	}
}

// TestVectorsCoverAllFrames fails when a frame has no vector.
func TestVectorsCoverAllFrames(t *testing.T) {
	client, server := vectors(t)
	seen := map[string]bool{}
	for _, v := range append(client, server...) {
		seen[v.Fields.Type] = true
	}
	for f := FrameSend; f <= FrameError; f++ {
		if !seen[f.String()] {
			t.Errorf("no vector for %v", f)
		}
	}
}

// checkGenerated compares a vector with what the generated code makes of its fields.
func checkGenerated(t *testing.T, v *vector, m proto.Message) {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, v.Proto) {
		t.Errorf("the generated code writes\n%x, want\n%x", b, []byte(v.Proto))
	}
	got := m.ProtoReflect().New().Interface()
	if err := proto.Unmarshal(v.Proto, got); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(got, m) {
		t.Errorf("the generated code reads %v, want %v", got, m)
	}
}

// checkPlainJSON compares a vector with what encoding/json reads.
func checkPlainJSON(t *testing.T, v *vector) {
	t.Helper()
	var got, want map[string]any
	if err := json.Unmarshal([]byte(v.JSON), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(v.RawFields, &want); err != nil {
		t.Fatal(err)
	}
	plainBody(t, got)
	if messages, ok := got["messages"].([]any); ok {
		for _, m := range messages {
			plainBody(t, m.(map[string]any))
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("encoding/json reads\n%v, want\n%v", got, want)
	}
}

// plainBody turns the body of a frame into the body_hex of the vectors.
func plainBody(t *testing.T, frame map[string]any) {
	t.Helper()
	if text, ok := frame["body"].(string); ok {
		delete(frame, "body")
		frame["body_hex"] = hex.EncodeToString([]byte(text))
	}
	if text, ok := frame["body_base64"].(string); ok {
		delete(frame, "body_base64")
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		frame["body_hex"] = hex.EncodeToString(b)
	}
}

// sameClientFrame compares what counts, an empty slice being equal to none.
func sameClientFrame(a, b *ClientFrame) bool {
	return a.Type == b.Type && bytes.Equal(a.Token, b.Token) &&
		bytes.Equal(a.Send.ID, b.Send.ID) && a.Send.Kind == b.Send.Kind && a.Send.TTL == b.Send.TTL &&
		bytes.Equal(a.Send.Body, b.Send.Body) && sameList(a.Send.To, b.Send.To) &&
		bytes.Equal(a.History.ID, b.History.ID) && bytes.Equal(a.History.After, b.History.After) &&
		bytes.Equal(a.History.Before, b.History.Before) && bytes.Equal(a.History.Around, b.History.Around) &&
		a.History.Limit == b.History.Limit && bytes.Equal(a.History.Peer, b.History.Peer)
}

func sameList(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// sameServerFrame compares what counts, an empty slice being equal to none.
func sameServerFrame(a, b *ServerFrame) bool {
	x, y := *a, *b
	if !sameDeliver(&x.Deliver, &y.Deliver) || len(x.HistoryPage.Messages) != len(y.HistoryPage.Messages) {
		return false
	}
	for i := range x.HistoryPage.Messages {
		if !sameDeliver(&x.HistoryPage.Messages[i], &y.HistoryPage.Messages[i]) {
			return false
		}
	}
	for _, f := range []*ServerFrame{&x, &y} {
		f.json, f.Deliver, f.HistoryPage.Messages = jsonReader{}, Deliver{}, nil
		for _, s := range []*[]byte{
			&f.Welcome.Cursor, &f.Ack.ID, &f.Gap.After, &f.Gap.Before, &f.Heartbeat.Cursor,
			&f.HistoryPage.ID, &f.HistoryPage.After, &f.HistoryPage.Before, &f.HistoryPage.Gone,
		} {
			if len(*s) == 0 {
				*s = nil
			}
		}
	}
	return reflect.DeepEqual(&x, &y)
}

func sameDeliver(a, b *Deliver) bool {
	return a.Seq == b.Seq && a.Self == b.Self && bytes.Equal(a.Cursor, b.Cursor) && a.Time == b.Time && sameMessage(&a.Message, &b.Message)
}
