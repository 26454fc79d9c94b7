package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// vector is a frame of codec/testdata/frames.json.
type vector struct {
	Name   string
	JSON   string
	Proto  string
	Fields map[string]any
}

func (v *vector) bytes(t testing.TB, f Format) []byte {
	t.Helper()
	if f == JSON {
		return []byte(v.JSON)
	}
	b, err := hex.DecodeString(v.Proto)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func vectors(tb testing.TB) (client, server []vector) {
	tb.Helper()
	var file struct{ Client, Server []vector }
	if err := json.Unmarshal(readFile(tb, "codec", "testdata", "frames.json"), &file); err != nil {
		tb.Fatal(err)
	}
	if len(file.Client) == 0 || len(file.Server) == 0 {
		tb.Fatal("no vectors")
	}
	return file.Client, file.Server
}

// show returns a frame as vectors have it, without what is zero.
func show(frame Frame) map[string]any {
	m := map[string]any{}
	put := func(name string, value any) {
		if !reflect.ValueOf(value).IsZero() {
			m[name] = value
		}
	}
	message := func(f *Message) {
		put("self", f.Self)
		put("cursor", f.Cursor)
		put("time", f.Time)
		put("message_id", f.MessageID.String())
		put("from", f.From)
		put("to", f.To)
		put("id", f.ID)
		put("kind", f.Kind)
		put("ttl_ms", f.TTL)
		put("body_hex", hex.EncodeToString(f.Body))
	}
	switch f := frame.(type) {
	case *Welcome:
		l := f.Limits
		put("type", "welcome")
		put("session", f.Session)
		put("user", f.User)
		put("node", f.Node)
		put("map_version", f.MapVersion)
		put("cursor", f.Cursor)
		put("resumed", f.Resumed)
		put("heartbeat_ms", f.HeartbeatMS)
		put("limits", map[string]any{"body_bytes": l.BodyBytes, "recipients": l.Recipients, "queue_messages": l.QueueMessages,
			"queue_bytes": l.QueueBytes, "in_flight": l.InFlight, "sends_per_second": l.SendsPerSecond,
			"page_messages": l.PageMessages, "start_messages": l.StartMessages})
	case *Ack:
		put("type", "ack")
		put("id", f.ID)
		put("status", f.Status)
		put("code", f.Code)
		if f.MessageID != (MessageID{}) {
			put("message_id", f.MessageID.String())
		}
		put("time", f.Time)
	case *Deliver:
		put("type", "deliver")
		put("seq", f.Seq)
		message(&f.Message)
	case *Gap:
		put("type", "gap")
		put("from_seq", f.From)
		put("to_seq", f.To)
		put("reason", f.Reason)
		put("after", f.After)
		put("before", f.Before)
	case *Heartbeat:
		put("type", "heartbeat")
		put("seq", f.Seq)
		put("cursor", f.Cursor)
	case *Page:
		put("type", "history_page")
		put("id", f.ID)
		put("code", f.Code)
		put("after", f.After)
		put("before", f.Before)
		put("more_after", f.MoreAfter)
		put("more_before", f.MoreBefore)
		put("gone", f.Gone)
		var list []any
		for i := range f.Messages {
			outer := m
			m = map[string]any{}
			message(&f.Messages[i])
			list = append(list, m)
			m = outer
		}
		put("messages", list)
	case *Pong:
		put("type", "pong")
	case *Moved:
		put("type", "moved")
		put("url", f.URL)
		put("node", f.Node)
		put("map_version", f.MapVersion)
		put("retry_after_ms", f.RetryAfterMS)
	case *Error:
		put("type", "error")
		put("code", f.Code)
		put("message", f.Message)
	}
	return m
}

// drop removes what is zero, so that fields that stand there and fields that are absent
// are alike.
func drop(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if value = drop(value); value == nil || reflect.ValueOf(value).IsZero() {
				delete(v, name)
			}
		}
	case []any:
		if len(v) == 0 {
			return nil
		}
		for i := range v {
			v[i] = drop(v[i])
		}
	}
	return v
}

// TestVectors decodes every frame of a server in both formats.
func TestVectors(t *testing.T) {
	_, server := vectors(t)
	seen := map[string]bool{}
	for _, v := range server {
		for _, format := range []Format{JSON, Proto} {
			frame, found := decode(format, v.bytes(t, format))
			if frame == nil || len(found) > 0 {
				t.Errorf("%s, %s: %v", v.Name, format, found)
				continue
			}
			text, err := json.Marshal(show(frame))
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatal(err)
			}
			if want := drop(v.Fields); !reflect.DeepEqual(drop(got), want) {
				t.Errorf("%s, %s:\n%v, want\n%v", v.Name, format, got, want)
			}
			seen[v.Fields["type"].(string)] = true
		}
	}
	if len(seen) != len(frameNumbers)+1 {
		t.Errorf("the vectors have only %v", seen)
	}
}

// TestEncode encodes every frame of a client in both formats.
func TestEncode(t *testing.T) {
	client, _ := vectors(t)
	for _, v := range client {
		text, err := json.Marshal(v.Fields)
		if err != nil {
			t.Fatal(err)
		}
		var f struct {
			Type, ID, Kind, Token, After, Before, Around, Peer string
			To                                                 []string
			Limit                                              int
			TTL                                                uint64 `json:"ttl_ms"`
			Body                                               string `json:"body_hex"`
		}
		if err := json.Unmarshal(text, &f); err != nil {
			t.Fatal(err)
		}
		body, err := hex.DecodeString(f.Body)
		if err != nil {
			t.Fatal(err)
		}
		var frame any
		switch f.Type {
		case "send":
			frame = &Send{ID: f.ID, To: f.To, Kind: Kind(f.Kind), TTL: f.TTL, Body: body}
		case "history":
			frame = &History{f.ID, f.After, f.Before, f.Around, f.Limit, f.Peer}
		case "refresh":
			frame = refresh(f.Token)
		case "ping":
			frame = ping{}
		default:
			t.Fatalf("a frame %q", f.Type)
		}
		var got, want map[string]any
		if err := json.Unmarshal(encodeJSON(frame), &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(v.JSON), &want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(drop(got), drop(want)) {
			t.Errorf("%s: %v, want %v", v.Name, got, want)
		}
		// The order of fields is free in protobuf too: compare them sorted.
		if got, want := encodeProto(frame), v.bytes(t, Proto); !bytes.Equal(sorted(t, got), sorted(t, want)) {
			t.Errorf("%s: %x, want %x", v.Name, got, want)
		}
	}
}

// sorted returns the fields of the one frame in a ClientFrame in the order of their
// numbers.
func sorted(t *testing.T, b []byte) (out []byte) {
	t.Helper()
	var found findings
	top, ok := protoMessage("a frame", b, &found)
	if !ok || len(top.list) != 1 {
		t.Fatalf("%x: %v", b, found)
	}
	frame, ok := protoMessage("a frame", top.list[0].bytes, &found)
	if !ok {
		t.Fatalf("%x: %v", b, found)
	}
	slices.SortStableFunc(frame.list, func(a, b protoField) int { return int(a.number) - int(b.number) })
	out = append(out, byte(top.list[0].number))
	for _, f := range frame.list {
		out = append(out, byte(f.number), byte(f.varint>>56), byte(f.varint>>24), byte(f.varint>>16), byte(f.varint>>8), byte(f.varint))
		out = append(out, f.bytes...)
	}
	return out
}

// TestBrokenJSON changes a valid frame in one place at a time.
func TestBrokenJSON(t *testing.T) {
	const good = `{"type":"deliver","seq":1,"cursor":"c","time":5,"message_id":"508e1c3f9a7b6d204c11fe03a95d7788",` +
		`"from":"alice","to":["bob"],"id":"m1","kind":"message","body":"hi"}`
	if _, found := decode(JSON, []byte(good)); len(found) > 0 {
		t.Fatal(found)
	}
	for name, change := range map[string][2]string{
		"no object":              {good, `[1]`},
		"nothing":                {good, ``},
		"two values":             {good, good + `{}`},
		"open":                   {`"hi"}`, `"hi"`},
		"comma":                  {`"hi"}`, `"hi",}`},
		"type later":             {`"type":"deliver","seq":1`, `"seq":1,"type":"deliver"`},
		"unknown type":           {`deliver`, `Deliver`},
		"unknown member":         {`"seq"`, `"x":0,"seq"`},
		"member of other case":   {`"seq"`, `"Seq"`},
		"member twice":           {`"seq":1`, `"seq":1,"seq":1`},
		"null":                   {`"seq":1`, `"seq":null`},
		"number as text":         {`"seq":1`, `"seq":"1"`},
		"number below 0":         {`"time":5`, `"time":-5`},
		"number with a fraction": {`"time":5`, `"time":5.5`},
		"number too high":        {`"time":5`, `"time":9007199254740992`},
		"text as number":         {`"id":"m1"`, `"id":1`},
		"flag as number":         {`"seq"`, `"self":1,"seq"`},
		"flag as null":           {`"seq"`, `"self":null,"seq"`},
		"recipients as text":     {`["bob"]`, `"bob"`},
		"recipient as number":    {`["bob"]`, `[1]`},
		"unknown kind":           {`"message",`, `"Message",`},
		"empty kind":             {`"kind":"message"`, `"kind":""`},
		"short message_id":       {`508e`, ``},
		"odd message_id":         {`508e`, `508g`},
		"body twice":             {`"body":"hi"`, `"body":"hi","body_base64":"/w=="`},
		"text in base64":         {`"body":"hi"`, `"body_base64":"aGk="`},
		"base64 without padding": {`"body":"hi"`, `"body_base64":"/w"`},
		"base64 of URLs":         {`"body":"hi"`, `"body_base64":"_w=="`},
		"base64 with lines":      {`"body":"hi"`, `"body_base64":"/w==\n"`},
		"half a character":       {`"body":"hi"`, `"body":"\ud83e"`},
		"message inside":         {`"body":"hi"`, `"message":{}`},
	} {
		changed := strings.Replace(good, change[0], change[1], 1)
		if changed == good {
			t.Fatalf("%s changes nothing", name)
		}
		if _, found := decode(JSON, []byte(changed)); len(found) == 0 || found[0].Rule != RuleEncoding {
			t.Errorf("%s: %v", name, found)
		}
	}
	for name, change := range map[string][2]string{
		"surrogates":            {`"hi"`, `"\ud83e\udd86"`},
		"replacement character": {`"hi"`, `"\ufffd �"`},
		"base64":                {`"body":"hi"`, `"body_base64":"/w=="`},
		"no kind":               {`,"kind":"message"`, ``},
		"spaces":                {`,`, " ,\n\t"},
	} {
		if _, found := decode(JSON, []byte(strings.Replace(good, change[0], change[1], 1))); len(found) > 0 {
			t.Errorf("%s: %v", name, found)
		}
	}
}

// TestBrokenProto does so with protobuf, in hexadecimal.
func TestBrokenProto(t *testing.T) {
	const message = "0a10508e1c3f9a7b6d204c11fe03a95d77881205616c6963651a03626f6222026d3132026869"
	const good = "08011a016320052a26" + message
	if _, found := decode(Proto, fromHex(t, good)); len(found) > 0 {
		t.Fatal(found)
	}
	for name, broken := range map[string]struct{ frame, why string }{
		"nothing":                 {"", "none that"},
		"half a varint":           {"0880", "unexpected EOF"},
		"half a field":            {good[:len(good)-2], "unexpected EOF"},
		"a group":                 {"0b0c" + good, "wire type 3"},
		"field 0":                 {"0000" + good, "invalid field number"},
		"fixed":                   {"35000000002a26" + message, "wire type 5"},
		"unknown frame":           {"9a0600", "none that"},
		"unknown field":           {good + "3001", "unknown field 6"},
		"reserved field":          {"3200" + good, "none that"},
		"seq twice":               {"0801" + good, "field 1 several"},
		"seq as bytes":            {"0a00" + good[4:], "field 1 of wire type 2"},
		"self of 2":               {"1002" + good, "a bool"},
		"number too high":         {"0880808080808080102a26" + message, "2^53"},
		"negative time":           {"080120ffffffffffffffffff012a26" + message, "2^53"},
		"cursor of no UTF-8":      {"1a01ff2a26" + message, "field 3 that is not valid"},
		"delivery and pong":       {good + "7200", "several frames"},
		"pong and pong":           {"72007200", "several frames"},
		"pong with a field":       {"72020801", "pong has the unknown field 1"},
		"unknown kind":            {"08012a282802" + message, "unknown kind 2"},
		"short message_id":        {"08012a030a0101", "1 bytes"},
		"body before the ttl":     {"08012a0432003801", "body last"},
		"a message that is none":  {"08012a01ff", "message is no protobuf"},
		"recipient of no UTF-8":   {"08012a031a01ff", "message has a field 3"},
		"unknown status":          {"5a021004", "unknown status 4"},
		"limits that are none":    {"52023a01", "unexpected EOF"},
		"page with a number":      {"8a01041a020801", "messages has the unknown field 1"},
		"page of messages broken": {"8a01031a01ff", "messages is no protobuf"},
	} {
		if _, found := decode(Proto, fromHex(t, broken.frame)); len(found) == 0 || found[0].Rule != RuleEncoding || !strings.Contains(found[0].Detail, broken.why) {
			t.Errorf("%s: %v", name, found)
		}
	}
}

func fromHex(t *testing.T, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// FuzzDecode wants any bytes to be a frame or a finding.
func FuzzDecode(f *testing.F) {
	_, server := vectors(f)
	for _, v := range server {
		f.Add([]byte(v.JSON), true)
		f.Add(v.bytes(f, Proto), false)
	}
	f.Fuzz(func(t *testing.T, b []byte, text bool) {
		format := Proto
		if text {
			format = JSON
		}
		frame, found := decode(format, b)
		if frame == nil && len(found) == 0 {
			t.Fatal("neither a frame nor a finding")
		}
		if frame != nil {
			checkFields(frame, &found)
			FrameEvent(1, frame)
		}
	})
}

func TestMessageID(t *testing.T) {
	var file struct {
		Vectors []struct {
			Name, From, Device, ID, Kind string
			To                           []string
			Body                         string `json:"body_hex"`
			MessageID                    string `json:"message_id"`
		}
	}
	if err := json.Unmarshal(readFile(t, "backplane", "testdata", "message_id.json"), &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) == 0 {
		t.Fatal("no vectors")
	}
	for _, v := range file.Vectors {
		s := &Send{ID: v.ID, To: v.To, Kind: Kind(v.Kind), Body: fromHex(t, v.Body)}
		if got := NewMessageID(v.From, v.Device, s).String(); got != v.MessageID {
			t.Errorf("%s: %s, want %s", v.Name, got, v.MessageID)
		}
	}
}
