package codec

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/godwit-im/godwit/backplane"
)

// aCursor is the cursor of aPosition.
const aCursor = "AQHcAvjBAg"

var aPosition = backplane.Position{Generation: 1, Partition: 348, Offset: 41_207}

// history returns a ClientFrame with a History of these fields; id has the number of a
// history request's id too.
func history(fields ...[]byte) string {
	return string(str(nil, fieldClientHistory, string(bytes.Join(fields, nil))))
}

func cursorField(n protowire.Number) []byte { return str(nil, n, aCursor) }

func TestACursor(t *testing.T) {
	if got := string(AppendCursor(nil, aPosition)); got != aCursor {
		t.Errorf("the cursor of %+v is %s, the tests say %s", aPosition, got, aCursor)
	}
}

func TestDecodeHistoryJSONRefuses(t *testing.T) {
	with := func(members string) string { return `{"type":"history","id":"h1",` + members + `}` }
	checkRefused(t, JSON, []refused{
		{"no id", `{"type":"history"}`, CodeBadID, "", ""},
		{"an empty id", `{"type":"history","id":""}`, CodeBadID, "", ""},
		{"a long id", `{"type":"history","id":"` + strings.Repeat("x", 65) + `"}`, CodeBadID, "", ""},
		{"recipients", with(`"to":["bob"]`), CodeUnknownField, "h1", "to"},
		{"a time to live", with(`"ttl_ms":1`), CodeUnknownField, "h1", "ttl_ms"},
		{"an unknown member", with(`"order":"asc"`), CodeUnknownField, "h1", "order"},
		{"a fault before the id", `{"type":"history","limit":101,"id":"h1"}`, CodeBadLimit, "h1", ""},
		{"a fault before the type", `{"limit":101,"id":"h1","type":"history"}`, CodeBadLimit, "h1", ""},
		{"no cursor", with(`"after":"41207"`), CodeBadCursor, "h1", "after"},
		{"a cursor of another version", with(`"before":"AgHcAvjBAg"`), CodeBadCursor, "h1", "before"},
		{"a cursor with padding", with(`"around":"` + aCursor + `=="`), CodeBadCursor, "h1", "around"},
		{"a very long cursor", with(`"after":"` + strings.Repeat("A", 5000) + `"`), CodeBadCursor, "h1", "after"},
		{"a cursor that is no string", with(`"after":1`), CodeBadFrame, "h1", "string"},
		{"a cursor that is null", with(`"after":null`), CodeBadFrame, "h1", "string"},
		{"around and after", with(`"around":"` + aCursor + `","after":"` + aCursor + `"`), CodeBadCursor, "h1", "around"},
		{"around and before", with(`"before":"` + aCursor + `","around":"` + aCursor + `"`), CodeBadCursor, "h1", "around"},
		{"a high limit", with(`"limit":101`), CodeBadLimit, "h1", ""},
		{"a limit beyond 64 bits", with(`"limit":18446744073709551617`), CodeBadLimit, "h1", ""},
		{"a negative limit", with(`"limit":-1`), CodeBadLimit, "h1", ""},
		{"a limit that is not whole", with(`"limit":1.5`), CodeBadLimit, "h1", ""},
		{"a limit as a string", with(`"limit":"5"`), CodeBadFrame, "h1", "number"},
		{"a long peer", with(`"peer":"` + strings.Repeat("x", 129) + `"`), CodeBadPeer, "h1", "128"},
		{"two peers", with(`"peer":["bob","carol"]`), CodeBadFrame, "h1", "string"},
	})
}

func TestDecodeHistoryProtoRefuses(t *testing.T) {
	limit := func(n uint64) []byte { return num(nil, fieldHistoryLimit, n) }
	peer := func(u string) []byte { return str(nil, fieldHistoryPeer, u) }
	checkRefused(t, Proto, []refused{
		{"nothing", history(), CodeBadID, "", ""},
		{"no id", history(limit(5)), CodeBadID, "", ""},
		{"an id that is not UTF-8", history(id("h\xff")), CodeBadID, "", ""},
		{"an unknown field", history(id("h1"), str(nil, 7, "x")), CodeUnknownField, "h1", "field 7"},
		{"a cursor as a number", history(id("h1"), num(nil, fieldHistoryAfter, 5)), CodeBadFrame, "h1", "wire type"},
		{"a limit as a string", history(id("h1"), str(nil, fieldHistoryLimit, "5")), CodeBadFrame, "h1", "wire type"},
		{"a limit without value", history(id("h1"), protowire.AppendTag(nil, fieldHistoryLimit, protowire.VarintType)), CodeBadFrame, "h1", ""},
		{"a cursor cut short", history(id("h1"), []byte("\x12\x05ab")), CodeBadFrame, "h1", ""},
		{"no cursor", history(id("h1"), str(nil, fieldHistoryBefore, "41207")), CodeBadCursor, "h1", "before"},
		{"a cursor that is not UTF-8", history(id("h1"), str(nil, fieldHistoryAround, "\xff")), CodeBadCursor, "h1", "around"},
		{"two cursors of a kind", history(id("h1"), cursorField(fieldHistoryAfter), cursorField(fieldHistoryAfter)), CodeBadFrame, "h1", "twice"},
		{"around and after", history(id("h1"), cursorField(fieldHistoryAfter), cursorField(fieldHistoryAround)), CodeBadCursor, "h1", "around"},
		{"a high limit", history(id("h1"), limit(101)), CodeBadLimit, "h1", ""},
		{"a limit that is low modulo 2^32", history(id("h1"), limit(1<<32+5)), CodeBadLimit, "h1", ""},
		{"a peer that is not UTF-8", history(id("h1"), peer("bob\xff")), CodeBadPeer, "h1", "UTF-8"},
		{"a long peer", history(id("h1"), peer(strings.Repeat("x", 129))), CodeBadPeer, "h1", "128"},
		{"two requests", history(id("h1")) + history(id("h2")), CodeUnknownField, "h1", "field 4"},
	})
}

func TestDecodeHistoryAccepts(t *testing.T) {
	for _, c := range []struct {
		name    string
		payload string
		want    History
	}{
		{"only an id", `{"type":"history","id":"h1"}`, History{ID: []byte("h1"), Limit: DefaultPage}},
		{"everything that goes without saying", `{"type":"history","id":"h1","after":"","before":"","around":"","limit":0,"peer":""}`,
			History{ID: []byte("h1"), Limit: DefaultPage}},
		{"the lowest limit", `{"type":"history","id":"h1","limit":1}`, History{ID: []byte("h1"), Limit: 1}},
		{"the highest limit", `{"type":"history","id":"h1","limit":100}`, History{ID: []byte("h1"), Limit: MaxPage}},
		{"both ends", `{"before":"AQHcAvnBAg","after":"` + aCursor + `","type":"history","id":"h1"}`,
			History{ID: []byte("h1"), After: []byte(aCursor), Before: []byte("AQHcAvnBAg"), Limit: DefaultPage}},
		{"escapes", `{"type":"history","id":"h1","around":"\u0041QHcAvjBAg","peer":"\u0062ob"}`,
			History{ID: []byte("h1"), Around: []byte(aCursor), Limit: DefaultPage, Peer: []byte("bob")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d Decoder
			var f ClientFrame
			if err := d.Decode(JSON, []byte(c.payload), &testLimits, &f); err != nil {
				t.Fatal(err)
			}
			if want := (ClientFrame{Type: FrameHistory, History: c.want}); !sameClientFrame(&f, &want) {
				t.Errorf("decoded as %+v, want %+v", f, want)
			}
		})
	}
}

// TestHistoryRoundTrip: what a client asks for is what the server reads, in both
// encodings.
func TestHistoryRoundTrip(t *testing.T) {
	var d Decoder
	for _, limit := range []int{0, 1, DefaultPage, MaxPage} {
		for _, cursors := range [][3]string{{}, {aCursor}, {"", aCursor}, {aCursor, aCursor}, {"", "", aCursor}} {
			for _, peer := range []string{"", "bob", "李小龍", "a\"\n"} {
				want := ClientFrame{Type: FrameHistory, History: History{
					ID: []byte("h1"), After: []byte(cursors[0]), Before: []byte(cursors[1]), Around: []byte(cursors[2]),
					Limit: limit, Peer: []byte(peer),
				}}
				for _, enc := range []Encoding{JSON, Proto} {
					p := AppendClientFrame(nil, enc, &want)
					var got ClientFrame
					if err := d.Decode(enc, p, &testLimits, &got); err != nil {
						t.Fatalf("%v in %q", err, p)
					}
					if limit == 0 && got.History.Limit == DefaultPage {
						got.History.Limit = 0
					}
					if !sameClientFrame(&got, &want) {
						t.Errorf("%v: came back as %+v, want %+v", enc, got.History, want.History)
					}
				}
			}
		}
	}
}

func TestResolveCursor(t *testing.T) {
	for _, c := range []struct {
		cursor string
		code   backplane.Code
	}{
		{aCursor, ""},
		{"", CodeBadCursor},
		{"latest", CodeBadCursor},
		{string(AppendCursor(nil, backplane.Position{Generation: 1, Partition: 347, Offset: 41_207})), CodeBadCursor},
		{string(AppendCursor(nil, backplane.Position{Generation: 2, Partition: 348, Offset: 41_207})), CodeUnknownCursor},
		{string(AppendCursor(nil, backplane.Position{Generation: 0, Partition: 12, Offset: 41_207})), CodeUnknownCursor},
	} {
		offset, code := ResolveCursor(c.cursor, 1, 348)
		if code != c.code || code == "" && offset != aPosition.Offset {
			t.Errorf("%q: offset %d, code %q, want %q", c.cursor, offset, code, c.code)
		}
	}
	before := AppendCursor(nil, backplane.Position{Generation: 1, Partition: 348, Offset: -1})
	if offset, code := ResolveCursor(before, 1, 348); offset != -1 || code != "" {
		t.Errorf("before the first: offset %d, code %q", offset, code)
	}
}

func TestParseStart(t *testing.T) {
	for text, want := range map[string]Start{"live": 0, "last:1": 1, "last:50": 50, "last:1000": MaxStart} {
		got, ok := ParseStart(text)
		if !ok || got != want {
			t.Errorf("ParseStart(%q) = %d, %v", text, got, ok)
		}
		if got.String() != text {
			t.Errorf("%d is %q, want %q", want, got, text)
		}
	}
	for _, text := range []string{
		"", "Live", "live ", "last", "last:", "last:0", "last:01", "last:+1", "last:-1", "last:1001", "last:1 ", "last:1.0",
		"last:99999999999999999999", "last:１", "first:1",
	} {
		if got, ok := ParseStart([]byte(text)); ok {
			t.Errorf("ParseStart(%q) = %d", text, got)
		}
	}
}

func TestParseOverflow(t *testing.T) {
	for text, want := range map[string]Overflow{"auto": OverflowAuto, "gap": OverflowGap} {
		if got, ok := ParseOverflow(text); !ok || got != want || fmt.Sprint(got) != text {
			t.Errorf("ParseOverflow(%q) = %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "Auto", "drop", "gap "} {
		if got, ok := ParseOverflow([]byte(text)); ok {
			t.Errorf("ParseOverflow(%q) = %v", text, got)
		}
	}
}
