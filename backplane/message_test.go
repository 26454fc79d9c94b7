package backplane

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"
)

// messageIDVectors is testdata/message_id.json.
type messageIDVectors struct {
	Vectors []struct {
		Name      string   `json:"name"`
		From      string   `json:"from"`
		Device    string   `json:"device"`
		ID        string   `json:"id"`
		To        []string `json:"to"`
		Kind      string   `json:"kind"`
		BodyHex   string   `json:"body_hex"`
		MessageID string   `json:"message_id"`
	} `json:"vectors"`
}

func TestIdentifyVectors(t *testing.T) {
	var file messageIDVectors
	readJSON(t, "testdata/message_id.json", &file)
	if len(file.Vectors) < 15 {
		t.Fatalf("only %d vectors", len(file.Vectors))
	}
	seen := map[string]string{}
	for _, v := range file.Vectors {
		m := Message{From: []byte(v.From), ID: []byte(v.ID)}
		for _, u := range v.To {
			m.To = append(m.To, []byte(u))
		}
		if v.Kind == "signal" {
			m.Kind = KindSignal
		}
		var err error
		if m.Body, err = hex.DecodeString(v.BodyHex); err != nil {
			t.Fatal(err)
		}
		id := Identify([]byte(v.Device), &m)
		if got := hex.EncodeToString(id[:]); got != v.MessageID {
			t.Errorf("%s: %s, want %s", v.Name, got, v.MessageID)
		}
		if other, ok := seen[v.MessageID]; ok {
			t.Errorf("%q and %q have the same id", v.Name, other)
		}
		seen[v.MessageID] = v.Name
	}
}

func TestIdentifyAllocs(t *testing.T) {
	for _, body := range []int{0, 200, MaxBody} {
		m := sampleMessage(body)
		device := []byte("phone")
		if n := testing.AllocsPerRun(100, func() { Identify(device, m) }); n != 0 {
			t.Errorf("Identify with a body of %d bytes: %v allocations", body, n)
		}
	}
}

func sampleMessage(body int) *Message {
	m := &Message{
		From: []byte("alice"),
		To:   [][]byte{[]byte("bob"), []byte("李小龍")},
		ID:   []byte("m1"),
		Body: bytes.Repeat([]byte("b"), body),
	}
	m.MessageID = Identify([]byte("phone"), m)
	return m
}

// TestIdentifyWithoutTTL: the TTL is no part of the id, so that ids are what they were
// before there was one.
func TestIdentifyWithoutTTL(t *testing.T) {
	m := sampleMessage(10)
	m.TTL = 1000
	if id := Identify([]byte("phone"), m); id != m.MessageID {
		t.Errorf("with a TTL the id is %x, without %x", id, m.MessageID)
	}
}

func TestKinds(t *testing.T) {
	for kind, want := range map[Kind]bool{KindMessage: true, KindSignal: true, KindErase: false, 3: false, 255: false} {
		if kind.Valid() != want {
			t.Errorf("Kind(%d).Valid() = %v", kind, !want)
		}
	}
}

func TestExpired(t *testing.T) {
	const t0 = 1_700_000_000_000
	for _, c := range []struct {
		ttl, logTime, now int64
		want              bool
	}{
		{0, t0, t0, false},
		{0, t0, t0 + 10*MaxTTL, false},
		{1, t0, t0, false},
		{1, t0, t0 + 1, true},
		{60_000, t0, t0 + 59_999, false},
		{60_000, t0, t0 + 60_000, true},
		{60_000, t0, t0 + 60_001, true},
		{60_000, t0, t0 - 60_000, false}, // a log whose clock is ahead
		{MaxTTL, t0, t0 + MaxTTL - 1, false},
		{MaxTTL, t0, t0 + MaxTTL, true},
	} {
		m := Message{TTL: c.ttl}
		if got := m.Expired(c.logTime, c.now); got != c.want {
			t.Errorf("with a TTL of %d, %d ms after its log time: Expired = %v, want %v", c.ttl, c.now-c.logTime, got, c.want)
		}
	}
}

// drawMessage draws a message as a node would store it.
func drawMessage(t *rapid.T) *Message {
	text := func(max int) *rapid.Generator[[]byte] { return rapid.SliceOfN(rapid.Byte(), 1, max) }
	m := &Message{
		From: text(MaxUserID).Draw(t, "from"),
		To:   rapid.SliceOfN(text(MaxUserID), 1, MaxRecipients).Draw(t, "to"),
		ID:   text(MaxClientID).Draw(t, "id"),
		Kind: Kind(rapid.IntRange(0, int(KindErase)).Draw(t, "kind")),
		TTL:  rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(1, MaxTTL)).Draw(t, "ttl"),
		Body: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "body"),
	}
	copy(m.MessageID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "message_id"))
	return m
}

// same compares messages, an empty body being equal to none.
func same(a, b *Message) bool {
	return a.MessageID == b.MessageID && bytes.Equal(a.From, b.From) && bytes.Equal(a.ID, b.ID) &&
		a.Kind == b.Kind && a.TTL == b.TTL && bytes.Equal(a.Body, b.Body) && len(a.To) == len(b.To) &&
		(len(a.To) == 0 || reflect.DeepEqual(a.To, b.To))
}

func TestMessageRoundTrip(t *testing.T) {
	var got Message // used again for every message, so that nothing may linger
	rapid.Check(t, func(t *rapid.T) {
		m := drawMessage(t)
		value := AppendMessage(nil, m)
		if err := ParseMessage(value, &got); err != nil {
			t.Fatal(err)
		}
		if !same(&got, m) {
			t.Fatalf("came back as %+v, want %+v", got, m)
		}
		id, err := ParseMessageID(value)
		if err != nil || id != m.MessageID {
			t.Fatalf("ParseMessageID: %x, %v", id, err)
		}
		head := AppendHead(nil, m)
		if !bytes.HasPrefix(value, head) {
			t.Fatal("AppendHead is no prefix of AppendMessage")
		}
		before, after := CutBody(value)
		if !bytes.Equal(before, head) || len(after) != 0 {
			t.Fatalf("CutBody gives %x and %x, want %x and nothing", before, after, head)
		}
	})
}

func TestParseMessageSkipsUnknownFields(t *testing.T) {
	m := sampleMessage(10)
	unknown := protowire.AppendTag(nil, 90, protowire.Fixed64Type)
	unknown = protowire.AppendFixed64(unknown, 7)
	unknown = protowire.AppendTag(unknown, 91, protowire.BytesType)
	unknown = protowire.AppendString(unknown, "later")
	unknown = protowire.AppendTag(unknown, 92, protowire.VarintType)
	unknown = protowire.AppendVarint(unknown, 300)
	unknown = protowire.AppendTag(unknown, 93, protowire.StartGroupType)
	unknown = protowire.AppendTag(unknown, 93, protowire.EndGroupType)
	value := append(AppendMessage(nil, m), unknown...)

	var got Message
	if err := ParseMessage(value, &got); err != nil {
		t.Fatal(err)
	}
	if !same(&got, m) {
		t.Errorf("came back as %+v, want %+v", got, m)
	}

	// They stay when the body goes.
	before, after := CutBody(value)
	if want := AppendHead(nil, m); !bytes.Equal(before, want) || !bytes.Equal(after, unknown) {
		t.Errorf("CutBody gives %x and %x, want %x and %x", before, after, want, unknown)
	}
}

func TestParseMessageRefuses(t *testing.T) {
	whole := AppendMessage(nil, sampleMessage(10))
	field := func(num protowire.Number, v string) []byte {
		return protowire.AppendString(protowire.AppendTag(nil, num, protowire.BytesType), v)
	}
	kind := protowire.AppendTag(bytes.Clone(whole), fieldKind, protowire.VarintType)
	ttl := protowire.AppendTag(bytes.Clone(whole), fieldTTL, protowire.VarintType)
	for name, b := range map[string][]byte{
		"nothing":              {},
		"no message id":        field(fieldFrom, "alice"),
		"a short message id":   field(fieldMessageID, strings.Repeat("x", 15)),
		"a long message id":    field(fieldMessageID, strings.Repeat("x", 17)),
		"field number 0":       append(bytes.Clone(whole), 0x02, 0x00),
		"a kind beyond a byte": protowire.AppendVarint(kind, 256),
		"a kind without value": kind,
		"a TTL beyond a year":  protowire.AppendVarint(ttl, MaxTTL+1),
		"a negative TTL":       protowire.AppendVarint(ttl, 1<<64-1),
		"a TTL without value":  ttl,
		"an open group":        protowire.AppendTag(bytes.Clone(whole), 93, protowire.StartGroupType),
	} {
		var m Message
		if err := ParseMessage(b, &m); err != ErrBadMessage {
			t.Errorf("%s: %v, want ErrBadMessage", name, err)
		}
	}
}

// TestParseMessageTruncated cuts a message at every byte: what is left is refused,
// or it is a message that lacks whole fields.
func TestParseMessageTruncated(t *testing.T) {
	whole := AppendMessage(nil, sampleMessage(10))
	ends := map[int]bool{}
	for at := 0; at < len(whole); {
		_, _, n := protowire.ConsumeField(whole[at:])
		at += n
		ends[at] = true
	}
	for n := range whole {
		var m Message
		err := ParseMessage(whole[:n], &m)
		if (err == nil) != ends[n] {
			t.Errorf("%d of %d bytes: %v", n, len(whole), err)
		}
		if _, err := ParseMessageID(whole[:n]); (err == nil) != (n >= 18) {
			t.Errorf("ParseMessageID of %d bytes: %v", n, err)
		}
	}
}

func TestMessageAllocs(t *testing.T) {
	m := sampleMessage(200)
	value := AppendMessage(nil, m)
	buf := make([]byte, 0, 2*len(value))
	var parsed Message
	for name, f := range map[string]func(){
		"AppendMessage":  func() { AppendMessage(buf, m) },
		"ParseMessage":   func() { _ = ParseMessage(value, &parsed) },
		"ParseMessageID": func() { _, _ = ParseMessageID(value) },
		"CutBody":        func() { CutBody(value) },
	} {
		f() // lets parsed.To grow once
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func FuzzParseMessage(f *testing.F) {
	f.Add(AppendMessage(nil, sampleMessage(0)))
	f.Add(AppendMessage(nil, sampleMessage(100)))
	signal := sampleMessage(3)
	signal.Kind = KindSignal
	f.Add(AppendMessage(nil, signal))
	f.Add(append(AppendMessage(nil, signal), 0xfa, 0x05, 0x01, 'x'))
	f.Add(AppendMessage(nil, &Message{From: []byte("alice"), Kind: KindErase}))
	f.Add(AppendMessage(nil, &Message{From: []byte("alice"), TTL: MaxTTL, Body: []byte("hi")}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		var m, again Message
		err := ParseMessage(b, &m)
		head, tail := CutBody(b)
		if !bytes.Equal(b, before) {
			t.Fatal("the input was changed")
		}
		if err != nil {
			return
		}
		if err := ParseMessage(AppendMessage(nil, &m), &again); err != nil || !same(&m, &again) {
			t.Fatalf("%+v came back as %+v, %v", m, again, err)
		}
		if len(m.Body) > 0 && len(head)+len(tail) >= len(b) {
			t.Fatalf("CutBody left %d of %d bytes", len(head)+len(tail), len(b))
		}
	})
}

func BenchmarkIdentify(b *testing.B) {
	m := sampleMessage(200)
	device := []byte("phone")
	b.ReportAllocs()
	for b.Loop() {
		Identify(device, m)
	}
}

func BenchmarkParseMessage(b *testing.B) {
	value := AppendMessage(nil, sampleMessage(200))
	var m Message
	b.ReportAllocs()
	for b.Loop() {
		if err := ParseMessage(value, &m); err != nil {
			b.Fatal(err)
		}
	}
}
