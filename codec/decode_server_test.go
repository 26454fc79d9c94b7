package codec

import (
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/godwit-im/godwit/backplane"
)

// TestClientsTolerateNewerServers adds to every server vector what a later version
// might add.
func TestClientsTolerateNewerServers(t *testing.T) {
	_, server := vectors(t)
	extra := str(nil, 90, "later")
	extra = num(extra, 91, 7)
	extra = protowire.AppendFixed64(protowire.AppendTag(extra, 92, protowire.Fixed64Type), 7)
	extra = protowire.AppendTag(extra, 93, protowire.StartGroupType)
	extra = protowire.AppendTag(num(extra, 1, 1), 93, protowire.EndGroupType)

	var f ServerFrame
	for _, v := range server {
		t.Run(v.Name, func(t *testing.T) {
			want := v.Fields.serverFrame(t)
			for _, p := range []string{
				strings.TrimSuffix(v.JSON, "}") + `,"later":{"a":[1,{"b":null}]},"more":-1.5e3}`,
				`{"later":["x",{}],` + strings.TrimPrefix(v.JSON, "{"),
				strings.Replace(v.JSON, `"limits":{`, `"limits":{"later":true,`, 1),
				strings.Replace(v.JSON, `"messages":[{`, `"messages":[{"later":[],`, 1),
				" \n" + v.JSON + " \n",
			} {
				if err := DecodeServer(JSON, []byte(p), &f); err != nil {
					t.Errorf("%v in %s", err, p)
				} else if !sameServerFrame(&f, want) {
					t.Errorf("%s: decoded as %+v, want %+v", p, f, want)
				}
			}
			for _, p := range []string{string(v.Proto) + string(extra), string(extra) + string(v.Proto), withinFrame(t, v.Proto, extra)} {
				if err := DecodeServer(Proto, []byte(p), &f); err != nil {
					t.Errorf("%v in %x", err, p)
				} else if !sameServerFrame(&f, want) {
					t.Errorf("%x: decoded as %+v, want %+v", p, f, want)
				}
			}
		})
	}
}

// withinFrame appends fields to the last field of p, which is the frame or, in a
// deliver, the message.
func withinFrame(t *testing.T, p, fields []byte) string {
	for at := 0; ; {
		n, _, size := protowire.ConsumeField(p[at:])
		if size < 0 {
			t.Fatal(protowire.ParseError(size))
		}
		if at+size < len(p) {
			at += size
			continue
		}
		_, _, tag := protowire.ConsumeTag(p[at:])
		frame, _ := protowire.ConsumeBytes(p[at+tag:])
		return string(str(p[:at:at], n, string(frame)+string(fields)))
	}
}

func TestUnknownFrames(t *testing.T) {
	var f ServerFrame
	for _, c := range []struct {
		enc     Encoding
		payload string
	}{
		{JSON, `{"type":"search_page","seq":"not a number","to":{}}`},
		{JSON, `{"type":""}`},
		{JSON, `{"type":"send"}`}, // no server says that
		{JSON, `{"type":"Pong"}`},
		{Proto, ""},
		{Proto, string(str(nil, 18, "\xff\xff"))},
		{Proto, string(num(nil, fieldServerSeq, 4))},
	} {
		f.Type = FrameDeliver
		if err := DecodeServer(c.enc, []byte(c.payload), &f); err != nil || f.Type != FrameUnknown {
			t.Errorf("%v %q: %v, %v, want an unknown frame", c.enc, c.payload, f.Type, err)
		}
	}
}

// TestUnknownValues: values that a later version may add are told as unknown.
func TestUnknownValues(t *testing.T) {
	var f ServerFrame
	decode := func(enc Encoding, payload string) {
		t.Helper()
		if err := DecodeServer(enc, []byte(payload), &f); err != nil {
			t.Fatal(err)
		}
	}
	for enc, payload := range map[Encoding]string{
		JSON:  `{"type":"ack","id":"m1","status":"postponed","code":"later"}`,
		Proto: string(str(nil, fieldServerAck, string(str(num(str(nil, fieldAckID, "m1"), fieldAckStatus, 9), fieldAckCode, "later")))),
	} {
		decode(enc, payload)
		if f.Ack.Status != backplane.Unknown || f.Ack.Code != "later" {
			t.Errorf("%v: %+v", enc, f.Ack)
		}
	}
	for enc, payload := range map[Encoding]string{
		JSON:  `{"type":"gap","reason":"later"}`,
		Proto: string(str(nil, fieldServerGap, string(str(nil, fieldGapReason, "later")))),
	} {
		decode(enc, payload)
		if f.Type != FrameGap || f.Gap.Reason != "later" {
			t.Errorf("%v: %+v", enc, f.Gap)
		}
	}
	decode(JSON, `{"type":"deliver","kind":"poll","message_id":"00000000000000000000000000000001"}`)
	if f.Deliver.Message.Kind != UnknownKind {
		t.Errorf("kind %d, want UnknownKind", f.Deliver.Message.Kind)
	}
}

func TestDecodeServerRefuses(t *testing.T) {
	var f ServerFrame
	for _, c := range []struct {
		enc     Encoding
		payload string
	}{
		{JSON, ``},
		{JSON, `[]`},
		{JSON, `{}`},
		{JSON, `{"type":1}`},
		{JSON, `{"type":"pong"`},
		{JSON, `{"type":"pong"}}`},
		{JSON, `{"type":"pong"}{}`},
		{JSON, `{"x":`},
		{JSON, `{1:2}`},
		{JSON, `{"type":"heartbeat","seq":"1"}`},
		{JSON, `{"type":"heartbeat","seq":-1}`},
		{JSON, `{"type":"heartbeat","seq":1.5}`},
		{JSON, `{"type":"heartbeat","seq":18446744073709551616}`},
		{JSON, `{"type":"heartbeat","cursor":7}`},
		{JSON, `{"type":"ack","time":1e3}`},
		{JSON, `{"type":"ack","time":true}`},
		{JSON, `{"type":"ack","message_id":"00"}`},
		{JSON, `{"type":"ack","message_id":"0000000000000000000000000000000g"}`},
		{JSON, `{"type":"deliver","self":1}`},
		{JSON, `{"type":"deliver","to":"bob"}`},
		{JSON, `{"type":"deliver","to":[1]}`},
		{JSON, `{"type":"deliver","to":["bob"`},
		{JSON, `{"type":"deliver","body_base64":"A"}`},
		{JSON, `{"type":"deliver","body_base64":1}`},
		{JSON, `{"type":"welcome","limits":[]}`},
		{JSON, `{"type":"welcome","limits":{"recipients":"64"}}`},
		{JSON, `{"type":"welcome","session":"1"}`},
		{JSON, `{"type":"welcome","session":1}`},
		{JSON, `{"type":"welcome","session":"000000000000000g"}`},
		{JSON, `{"type":"moved","retry_after_ms":"1"}`},
		{JSON, `{"type":"deliver","ttl_ms":"1"}`},
		{JSON, `{"type":"history_page","id":1}`},
		{JSON, `{"type":"history_page","messages":{}}`},
		{JSON, `{"type":"history_page","messages":[1]}`},
		{JSON, `{"type":"history_page","messages":[{"time":"1"}]}`},
		{JSON, `{"type":"history_page","messages":[{}`},
		{JSON, `{"type":"history_page","more_after":1}`},
		{Proto, "\x80"},
		{Proto, "\x08"},
		{Proto, "\x2a\x05a"},
		{Proto, string(str(nil, fieldServerMessage, ""))},
		{Proto, string(str(nil, fieldServerAck, "\x80"))},
		{Proto, string(str(nil, fieldServerHistoryPage, "\x80"))},
		{Proto, string(str(nil, fieldServerHistoryPage, string(str(nil, fieldPageMessages, "\x80"))))},
		{Proto, string(str(nil, fieldServerHistoryPage, string(str(nil, fieldPageMessages, string(str(nil, fieldServerMessage, ""))))))},
		{Proto, string(str(nil, fieldServerAck, string(str(nil, fieldAckMessageID, "short"))))},
		{Proto, string(str(nil, fieldServerWelcome, string(str(nil, fieldWelcomeSession, "short"))))},
		{Proto, string(str(nil, fieldServerWelcome, string(str(nil, fieldWelcomeLimits, "\x08"))))},
	} {
		err := DecodeServer(c.enc, []byte(c.payload), &f)
		var e *Error
		if !errors.As(err, &e) || e.Code != CodeBadFrame {
			t.Errorf("%v %q: %v, want bad_frame", c.enc, c.payload, err)
		}
		if f.Type != FrameUnknown {
			t.Errorf("%v %q: left a %v behind", c.enc, c.payload, f.Type)
		}
	}
}

// TestDurations: what the wire cannot hold is cut to what it can.
func TestDurations(t *testing.T) {
	for _, c := range []struct{ in, want time.Duration }{
		{0, 0},
		{-time.Second, 0},
		{1500 * time.Microsecond, time.Millisecond},
		{time.Minute, time.Minute},
		{10000 * time.Hour, (1<<32 - 1) * time.Millisecond},
	} {
		for _, enc := range []Encoding{JSON, Proto} {
			var f ServerFrame
			if err := DecodeServer(enc, AppendMoved(nil, enc, &Moved{RetryAfter: c.in}), &f); err != nil {
				t.Fatal(err)
			}
			if f.Moved.RetryAfter != c.want {
				t.Errorf("%v: %v came back as %v, want %v", enc, c.in, f.Moved.RetryAfter, c.want)
			}
		}
	}
}
