package codec

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/godwit-im/godwit/backplane"
)

// str and num append a field of a protobuf message.
func str(dst []byte, n protowire.Number, v string) []byte {
	return protowire.AppendString(protowire.AppendTag(dst, n, protowire.BytesType), v)
}

func num(dst []byte, n protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, n, protowire.VarintType), v)
}

// send returns a ClientFrame with a Send of these fields.
func send(fields ...[]byte) string {
	return string(str(nil, fieldClientSend, string(bytes.Join(fields, nil))))
}

func id(v string) []byte   { return str(nil, fieldSendID, v) }
func to(v string) []byte   { return str(nil, fieldSendTo, v) }
func body(v string) []byte { return str(nil, fieldSendBody, v) }
func kind(v uint64) []byte { return num(nil, fieldSendKind, v) }
func ttl(v uint64) []byte  { return num(nil, fieldSendTTL, v) }

// refused is a frame that a Decoder refuses, and how.
type refused struct {
	name    string
	payload string
	code    backplane.Code
	id      string // of Error.ID; that of a history request begins with an h
	detail  string // part of Error.Detail
}

func refusedType(id string) FrameType {
	if strings.HasPrefix(id, "h") {
		return FrameHistory
	}
	return FrameSend
}

// testLimits are low, so that a frame beyond them is easy to read.
var testLimits = Limits{Body: 8, Recipients: 3}

func checkRefused(t *testing.T, enc Encoding, cases []refused) {
	t.Helper()
	var d Decoder
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var f ClientFrame
			err := d.Decode(enc, []byte(c.payload), &testLimits, &f)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("%v, want an *Error with %q", err, c.code)
			}
			if e.Code != c.code || string(e.ID) != c.id || !strings.Contains(e.Detail, c.detail) {
				t.Errorf("code %q, id %q, detail %q; want %q, %q and %q", e.Code, e.ID, e.Detail, c.code, c.id, c.detail)
			}
			if typ := refusedType(c.id); c.id != "" && e.Type != typ {
				t.Errorf("the error is of a %v, want %v", e.Type, typ)
			}
			if len(e.Detail) > maxDetail || !utf8.ValidString(e.Detail) {
				t.Errorf("detail %q has %d bytes", e.Detail, len(e.Detail))
			}
			if !strings.Contains(e.Error(), string(c.code)) {
				t.Errorf("Error() = %q", e.Error())
			}
			// The Decoder serves the next frame as if nothing had happened.
			if err := d.Decode(JSON, []byte(`{"type":"ping"}`), &testLimits, &f); err != nil || f.Type != FramePing {
				t.Errorf("the next frame: %v", err)
			}
		})
	}
}

func TestDecodeJSONRefuses(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	with := func(members string) string { return `{"type":"send","id":"m1","to":["bob"],` + members + `}` }
	checkRefused(t, JSON, []refused{
		{"nothing", ``, CodeBadFrame, "", ""},
		{"white space", " \n", CodeBadFrame, "", ""},
		{"an array", `[]`, CodeBadFrame, "", "object"},
		{"a string", `"ping"`, CodeBadFrame, "", "object"},
		{"no type", `{}`, CodeBadFrame, "", "type is missing"},
		{"no type of a send", `{"id":"m1","to":["bob"]}`, CodeBadFrame, "", "type is missing"},
		{"a type of another case", `{"type":"Ping"}`, CodeUnknownType, "", "Ping"},
		{"a member of another case", `{"Type":"ping"}`, CodeBadFrame, "", "type is missing"},
		{"an empty type", `{"type":""}`, CodeUnknownType, "", ""},
		{"a later version's type", `{"type":"search","id":"s1","limit":{"n":5}}`, CodeUnknownType, "", "search"},
		{"a server's type", `{"type":"pong"}`, CodeUnknownType, "", "pong"},
		{"a type that is no string", `{"type":7}`, CodeBadFrame, "", "string"},
		{"a null", with(`"body":null`), CodeBadFrame, "m1", "string"},
		{"not closed", `{"type":"ping"`, CodeBadFrame, "", "byte 14"},
		{"a comma too many", `{"type":"ping",}`, CodeBadFrame, "", "byte"},
		{"a second frame", `{"type":"ping"}{"type":"ping"}`, CodeBadFrame, "", "follows"},
		{"something behind", `{"type":"ping"} x`, CodeBadFrame, "", "byte 16"},
		{"single quotes", `{'type':'ping'}`, CodeBadFrame, "", "byte 1"},
		{"a name given twice", `{"type":"ping","type":"ping"}`, CodeBadFrame, "", "duplicate"},
		{"a name given twice, once escaped", `{"type":"ping","\u0074ype":"ping"}`, CodeBadFrame, "", "duplicate"},
		{"invalid UTF-8", with(`"body":"` + "\xff" + `"`), CodeBadFrame, "m1", "UTF-8"},
		{"a lone surrogate", with(`"body":"\ud800"`), CodeBadFrame, "m1", ""},
		{"a control character", with(`"body":"` + "\n" + `"`), CodeBadFrame, "m1", ""},
		{"a number in to", `{"type":"send","id":"m1","to":[1]}`, CodeBadFrame, "m1", "string"},
		{"a string as to", `{"type":"send","id":"m1","to":"bob"}`, CodeBadFrame, "m1", "array"},
		{"an array in to", `{"type":"send","id":"m1","to":[["bob"]]}`, CodeBadFrame, "m1", "string"},

		{"an unknown member", with(`"urgent":true`), CodeUnknownField, "m1", "urgent"},
		{"an unknown member before the id", `{"urgent":1,"type":"send","to":["bob"],"id":"m1"}`, CodeUnknownField, "m1", "urgent"},
		{"an unknown object", with(`"meta":{"a":{}}`), CodeUnknownField, "m1", "meta"},
		{"an unknown object before the id", `{"type":"send","meta":[1],"id":"m1"}`, CodeUnknownField, "", "meta"},
		{"an empty name", with(`"":1`), CodeUnknownField, "m1", ""},
		{"a long name", with(`"` + long(500) + `":1`), CodeUnknownField, "m1", "xxxx"},
		{"a long name of characters", with(`"` + strings.Repeat("ü", 500) + `":1`), CodeUnknownField, "m1", "üüü"},
		{"a member of another type", `{"type":"ping","id":"p1"}`, CodeUnknownField, "", "id"},
		{"a token in a send", with(`"token":"t"`), CodeUnknownField, "m1", "token"},

		{"a long token", `{"type":"refresh","token":"` + long(MaxToken+1) + `"}`, CodeUnauthorized, "", "4096"},

		{"no id", `{"type":"send","to":["bob"]}`, CodeBadID, "", ""},
		{"an empty id", `{"type":"send","id":"","to":["bob"]}`, CodeBadID, "", ""},
		{"a long id", `{"type":"send","id":"` + long(65) + `","to":["bob"]}`, CodeBadID, "", ""},
		{"no recipients", `{"type":"send","id":"m1","to":[]}`, CodeNoRecipients, "m1", ""},
		{"no to", `{"type":"send","id":"m1"}`, CodeNoRecipients, "m1", ""},
		{"an empty recipient", `{"type":"send","id":"m1","to":["bob",""]}`, CodeBadRecipient, "m1", "empty"},
		{"a long recipient", `{"type":"send","id":"m1","to":["` + long(129) + `"]}`, CodeBadRecipient, "m1", "128"},
		{"a recipient twice", `{"type":"send","id":"m1","to":["bob","carol","bob"]}`, CodeDuplicateRecipient, "m1", "bob"},
		{"a recipient twice, once escaped", `{"type":"send","id":"m1","to":["bob","\u0062ob"]}`, CodeDuplicateRecipient, "m1", "bob"},
		{"too many recipients", `{"type":"send","id":"m1","to":["a","b","c","d"]}`, CodeTooManyRecipients, "m1", ""},
		{"too many recipients before the id", `{"type":"send","to":["a","b","c","d","e"],"id":"m1"}`, CodeTooManyRecipients, "m1", ""},
		{"everything before the type", `{"to":["a","b","c","d","e"],"id":"m1","type":"send"}`, CodeTooManyRecipients, "m1", ""},
		{"the first of two faults", `{"type":"send","id":"m1","kind":"poll","to":[]}`, CodeBadKind, "m1", "poll"},
		{"a long body", with(`"body":"` + long(9) + `"`), CodeBodyTooLarge, "m1", ""},
		{"a long body in bytes, not in characters", with(`"body":"éééé!"`), CodeBodyTooLarge, "m1", ""},
		{"a long body of escapes", with(`"body":"` + strings.Repeat(`\u0000`, 9) + `"`), CodeBodyTooLarge, "m1", ""},
		{"a long body in base64", with(`"body_base64":"AAAAAAAAAAAA"`), CodeBodyTooLarge, "m1", ""},
		{"a very long body in base64", with(`"body_base64":"` + strings.Repeat("AAAA", 1000) + `"`), CodeBodyTooLarge, "m1", ""},
		{"base64 without padding", with(`"body_base64":"AA"`), CodeBadEncoding, "m1", ""},
		{"base64 of the URL alphabet", with(`"body_base64":"-_-_"`), CodeBadEncoding, "m1", ""},
		{"base64 with stray bits", with(`"body_base64":"AB=="`), CodeBadEncoding, "m1", ""},
		{"base64 with a line break", with(`"body_base64":"AA\r\n=="`), CodeBadEncoding, "m1", ""},
		{"two bodies", with(`"body":"a","body_base64":"AA=="`), CodeBadEncoding, "m1", "body_base64"},
		{"two empty bodies", with(`"body":"","body_base64":""`), CodeBadEncoding, "m1", "body_base64"},
		{"an unknown kind", with(`"kind":"poll"`), CodeBadKind, "m1", "poll"},
		{"an empty kind", with(`"kind":""`), CodeBadKind, "m1", ""},
		{"the name of no kind", with(`"kind":"unknown"`), CodeBadKind, "m1", "unknown"},
		{"an erasure", with(`"kind":"erase"`), CodeBadKind, "m1", "erase"},
		{"a time to live beyond a year", with(`"ttl_ms":31536000001`), CodeBadTTL, "m1", ""},
		{"a time to live beyond 64 bits", with(`"ttl_ms":18446744073709551616`), CodeBadTTL, "m1", ""},
		{"a negative time to live", with(`"ttl_ms":-1`), CodeBadTTL, "m1", ""},
		{"a time to live that is not whole", with(`"ttl_ms":1.5`), CodeBadTTL, "m1", ""},
		{"a time to live as a string", with(`"ttl_ms":"60"`), CodeBadFrame, "m1", "number"},
		{"a time to live without its unit", with(`"ttl":60`), CodeUnknownField, "m1", "ttl"},
		{"a limit in a send", with(`"limit":5`), CodeUnknownField, "m1", "limit"},
	})
}

func TestDecodeProtoRefuses(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	checkRefused(t, Proto, []refused{
		{"nothing", "", CodeBadFrame, "", ""},
		{"no tag", "\x80", CodeBadFrame, "", ""},
		{"field number 0", "\x02\x00", CodeBadFrame, "", ""},
		{"a later version's frame", string(str(nil, 5, "x")), CodeUnknownType, "", "field 5"},
		{"a ping as a number", string(num(nil, fieldClientPing, 0)), CodeBadFrame, "", "wire type"},
		{"a frame longer than the payload", "\x1a\x01", CodeBadFrame, "", ""},
		{"two frames", string(str(str(nil, fieldClientPing, ""), fieldClientPing, "")), CodeUnknownField, "", "field 3"},
		{"two sends", send(id("m1"), to("bob")) + send(id("m2"), to("bob")), CodeUnknownField, "m1", "field 1"},
		{"a field behind", send(id("m1"), to("bob")) + string(num(nil, 12, 1)), CodeUnknownField, "m1", "field 12"},
		{"bytes behind", send(id("m1"), to("bob")) + "\x80", CodeBadFrame, "m1", ""},
		{"a ping with a field", string(str(nil, fieldClientPing, "\x08\x01")), CodeUnknownField, "", "field 1"},
		{"a refresh with another field", string(str(nil, fieldClientRefresh, "\x10\x01")), CodeUnknownField, "", "field 2"},
		{"a refresh with a number", string(str(nil, fieldClientRefresh, "\x08\x01")), CodeBadFrame, "", "wire type"},
		{"a refresh cut short", string(str(nil, fieldClientRefresh, "\x0a\x05a")), CodeBadFrame, "", ""},
		{"a refresh without a tag", string(str(nil, fieldClientRefresh, "\x80")), CodeBadFrame, "", ""},
		{"two tokens", string(str(nil, fieldClientRefresh, "\x0a\x01a\x0a\x01b")), CodeUnknownField, "", "field 1"},
		{"a token that is not UTF-8", string(str(nil, fieldClientRefresh, "\x0a\x01\xff")), CodeBadFrame, "", "UTF-8"},

		{"a long token", string(str(nil, fieldClientRefresh, string(str(nil, fieldRefreshToken, long(MaxToken+1))))), CodeUnauthorized, "", "4096"},

		{"an empty send", send(), CodeBadID, "", ""},
		{"an unknown field", send(id("m1"), to("bob"), num(nil, 6, 60)), CodeUnknownField, "m1", "field 6"},
		{"an unknown group", send(id("m1"), to("bob"), protowire.AppendTag(nil, 9, protowire.StartGroupType)), CodeUnknownField, "m1", "field 9"},
		{"an id as a number", send(num(nil, fieldSendID, 1)), CodeBadFrame, "", "wire type"},
		{"a kind as a string", send(id("m1"), str(nil, fieldSendKind, "signal")), CodeBadFrame, "m1", "wire type"},
		{"a kind without value", send(id("m1"), protowire.AppendTag(nil, fieldSendKind, protowire.VarintType)), CodeBadFrame, "m1", ""},
		{"a body cut short", send(id("m1"), to("bob"), []byte("\x1a\x05ab")), CodeBadFrame, "m1", ""},
		{"two ids", send(id("m1"), id("m2"), to("bob")), CodeBadFrame, "m1", "twice"},
		{"two bodies", send(id("m1"), to("bob"), body("a"), body("b")), CodeBadFrame, "m1", "twice"},
		{"an unknown field beyond any", send(id("m1"), to("bob"), num(nil, 1<<29-1, 1)), CodeUnknownField, "m1", "field 536870911"},
		{"two times to live", send(id("m1"), to("bob"), ttl(1), ttl(1)), CodeBadFrame, "m1", "twice"},
		{"a time to live as a string", send(id("m1"), str(nil, fieldSendTTL, "60")), CodeBadFrame, "m1", "wire type"},
		{"a time to live beyond a year", send(id("m1"), to("bob"), ttl(backplane.MaxTTL+1)), CodeBadTTL, "m1", ""},
		{"a negative time to live", send(id("m1"), to("bob"), ttl(1<<64-1)), CodeBadTTL, "m1", ""},
		{"two kinds", send(id("m1"), to("bob"), kind(0), kind(1)), CodeBadFrame, "m1", "twice"},

		{"no id", send(to("bob")), CodeBadID, "", ""},
		{"an empty id", send(id(""), to("bob")), CodeBadID, "", ""},
		{"a long id", send(id(long(65)), to("bob")), CodeBadID, "", ""},
		{"an id that is not UTF-8", send(id("\xff"), to("bob")), CodeBadID, "", ""},
		{"no recipients", send(id("m1")), CodeNoRecipients, "m1", ""},
		{"an empty recipient", send(id("m1"), to("")), CodeBadRecipient, "m1", "empty"},
		{"a long recipient", send(id("m1"), to(long(129))), CodeBadRecipient, "m1", "128"},
		{"a recipient that is not UTF-8", send(id("m1"), to("bob\xff")), CodeBadRecipient, "m1", "UTF-8"},
		{"a recipient twice", send(id("m1"), to("bob"), to("carol"), to("bob")), CodeDuplicateRecipient, "m1", "bob"},
		{"too many recipients", send(id("m1"), to("a"), to("b"), to("c"), to("d")), CodeTooManyRecipients, "m1", ""},
		{"a long body", send(id("m1"), to("bob"), body(long(9))), CodeBodyTooLarge, "m1", ""},
		{"an erasure", send(id("m1"), to("bob"), kind(uint64(backplane.KindErase))), CodeBadKind, "m1", "2"},
		{"an unknown kind", send(id("m1"), to("bob"), kind(3)), CodeBadKind, "m1", "3"},
		{"a huge kind", send(id("m1"), to("bob"), kind(1<<40)), CodeBadKind, "m1", "1099511627776"},
		{"a kind that is a known one modulo 256", send(id("m1"), to("bob"), kind(257)), CodeBadKind, "m1", "257"},
	})
}

func TestDecodeJSONAccepts(t *testing.T) {
	bob := [][]byte{[]byte("bob")}
	for _, c := range []struct {
		name    string
		payload string
		want    ClientFrame
	}{
		{"members in another order", `{"body":"hi","to":["bob"],"id":"m1","type":"send"}`,
			ClientFrame{Type: FrameSend, Send: Send{ID: []byte("m1"), To: bob, Body: []byte("hi")}}},
		{"white space", " {\n\t\"type\" : \"send\" ,\r\n \"id\":\"m1\", \"to\" : [ \"bob\" ] } \n",
			ClientFrame{Type: FrameSend, Send: Send{ID: []byte("m1"), To: bob}}},
		{"escapes everywhere", `{"\u0074ype":"s\u0065nd","i\u0064":"\ud83e\udd86","to":["\u0062ob"],"b\u006fdy":"\"\\\/\b\f\n"}`,
			ClientFrame{Type: FrameSend, Send: Send{ID: []byte("🦆"), To: bob, Body: []byte("\"\\/\b\f\n")}}},
		{"a time to live that goes without saying", `{"type":"send","id":"m1","to":["bob"],"ttl_ms":0}`,
			ClientFrame{Type: FrameSend, Send: Send{ID: []byte("m1"), To: bob}}},
		{"the longest time to live", `{"type":"send","id":"m1","to":["bob"],"ttl_ms":31536000000}`,
			ClientFrame{Type: FrameSend, Send: Send{ID: []byte("m1"), To: bob, TTL: backplane.MaxTTL}}},
		{"a kind that goes without saying", `{"type":"send","id":"m1","to":["bob"],"kind":"message"}`,
			ClientFrame{Type: FrameSend, Send: Send{ID: []byte("m1"), To: bob}}},
		{"limits reached", `{"type":"send","id":"` + strings.Repeat("i", 64) + `","to":["a","b","` + strings.Repeat("c", 128) + `"],"body":"12345678"}`,
			ClientFrame{Type: FrameSend, Send: Send{
				ID:   []byte(strings.Repeat("i", 64)),
				To:   [][]byte{[]byte("a"), []byte("b"), []byte(strings.Repeat("c", 128))},
				Body: []byte("12345678"),
			}}},
		{"limits reached with escapes", `{"type":"send","id":"m1","to":["bob"],"body":"` + strings.Repeat(`\u0000`, 8) + `"}`,
			ClientFrame{Type: FrameSend, Send: Send{ID: []byte("m1"), To: bob, Body: make([]byte, 8)}}},
		{"limits reached in base64", `{"type":"send","id":"m1","to":["bob"],"body_base64":"AAAAAAAAAAA="}`,
			ClientFrame{Type: FrameSend, Send: Send{ID: []byte("m1"), To: bob, Body: make([]byte, 8)}}},
		{"escapes within base64", `{"type":"send","id":"m1","to":["bob"],"body_base64":"\u002f\/8="}`,
			ClientFrame{Type: FrameSend, Send: Send{ID: []byte("m1"), To: bob, Body: []byte{0xff, 0xff}}}},
		{"a refresh without a token", `{"type":"refresh"}`, ClientFrame{Type: FrameRefresh}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d Decoder
			var f ClientFrame
			payload := []byte(c.payload)
			if err := d.Decode(JSON, payload, &testLimits, &f); err != nil {
				t.Fatal(err)
			}
			if !sameClientFrame(&f, &c.want) {
				t.Errorf("decoded as %+v, want %+v", f, c.want)
			}
			if string(payload) != c.payload {
				t.Errorf("the payload was changed to %q", payload)
			}
		})
	}
}

// TestDecodeTruncated cuts every client vector at every byte: nothing that is left
// passes, in JSON, and nothing panics.
func TestDecodeTruncated(t *testing.T) {
	client, _ := vectors(t)
	var d Decoder
	var f ClientFrame
	for _, v := range client {
		for _, enc := range []Encoding{JSON, Proto} {
			p := v.payload(enc)
			for n := range p {
				// All of a frame but its head is within one length-delimited field, so a
				// prefix of it is refused as well.
				if err := d.Decode(enc, p[:n], &DefaultLimits, &f); err == nil {
					t.Errorf("%s: %d of %d bytes of %v pass", v.Name, n, len(p), enc)
				}
			}
		}
	}
}

// TestDecodeKeepsFrames holds that what a frame aliases stays whole until the next
// Decode, while the scratch grows under it.
func TestDecodeKeepsFrames(t *testing.T) {
	var d Decoder
	for n := 1; n <= 64; n++ {
		want := &ClientFrame{Type: FrameSend, Send: Send{
			ID:   []byte("\"id\""),
			Body: bytes.Repeat([]byte("\n"), n*10),
		}}
		for i := range n {
			want.Send.To = append(want.Send.To, fmt.Appendf(nil, "\"user\"\n%d", i))
		}
		var f ClientFrame
		if err := d.Decode(JSON, AppendClientFrame(nil, JSON, want), &DefaultLimits, &f); err != nil {
			t.Fatal(err)
		}
		if !sameClientFrame(&f, want) {
			t.Fatalf("%d recipients came back as %q", n, f.Send.To)
		}
		// Growing one slice must not run into the next.
		for i := range f.Send.To {
			_ = append(f.Send.To[i], "overrun"...)
		}
		if !sameClientFrame(&f, want) {
			t.Fatal("appending to one recipient changed another")
		}
	}
}

// TestMaxFrame encodes the longest send in the longest way, the longest refresh and the
// longest history request.
func TestMaxFrame(t *testing.T) {
	for _, lim := range []Limits{testLimits, DefaultLimits, {Body: 0, Recipients: 1}} {
		for _, enc := range []Encoding{JSON, Proto} {
			cursor := bytes.Repeat([]byte("c"), MaxCursor)
			history := ClientFrame{Type: FrameHistory, History: History{
				ID: bytes.Repeat([]byte{0}, backplane.MaxClientID), After: cursor, Before: cursor,
				Limit: MaxPage, Peer: bytes.Repeat([]byte{0}, backplane.MaxUserID),
			}}
			if n := len(AppendClientFrame(nil, enc, &history)); n > lim.MaxFrame(enc) {
				t.Errorf("%v: a history request of %d bytes exceeds MaxFrame, %d", enc, n, lim.MaxFrame(enc))
			}
			refresh := ClientFrame{Type: FrameRefresh, Token: bytes.Repeat([]byte("t"), MaxToken)}
			if n := len(AppendClientFrame(nil, enc, &refresh)); n > lim.MaxFrame(enc) {
				t.Errorf("%v: a refresh of %d bytes exceeds MaxFrame, %d", enc, n, lim.MaxFrame(enc))
			}
		}
		f := ClientFrame{Type: FrameSend, Send: Send{
			ID:   bytes.Repeat([]byte{0}, backplane.MaxClientID),
			Kind: backplane.KindSignal,
			TTL:  backplane.MaxTTL,
			Body: bytes.Repeat([]byte{0}, lim.Body),
		}}
		for i := range lim.Recipients {
			f.Send.To = append(f.Send.To, append(bytes.Repeat([]byte{0}, backplane.MaxUserID-1), byte(i)))
		}
		for _, enc := range []Encoding{JSON, Proto} {
			p := AppendClientFrame(nil, enc, &f)
			if len(p) > lim.MaxFrame(enc) {
				t.Errorf("%v: a send of %d bytes exceeds MaxFrame, %d", enc, len(p), lim.MaxFrame(enc))
			}
			var d Decoder
			var got ClientFrame
			if err := d.Decode(enc, p, &lim, &got); err != nil || !sameClientFrame(&got, &f) {
				t.Errorf("%v: %v", enc, err)
			}
		}
	}
}

func TestAppendClientFramePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("AppendClientFrame of a welcome did not panic")
		}
	}()
	AppendClientFrame(nil, JSON, &ClientFrame{Type: FrameWelcome})
}
