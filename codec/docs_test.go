package codec

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode"

	"github.com/godwit-im/godwit/backplane"
)

// protocolPage is docs/protocol.md, which must say what this package does.
func protocolPage(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// expectTable compares the first table after a heading with rows of cells.
func expectTable(t *testing.T, page, heading string, want [][]string) {
	t.Helper()
	_, section, ok := strings.Cut(page, "\n"+heading+"\n")
	if !ok {
		t.Fatalf("docs/protocol.md has no %q", heading)
	}
	_, table, ok := strings.Cut(section, "| --- |")
	if !ok {
		t.Fatalf("docs/protocol.md has no table under %q", heading)
	}
	_, table, _ = strings.Cut(table, "\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var rows strings.Builder
	for _, cells := range want {
		fmt.Fprintf(&rows, "| %s |\n", strings.Join(cells, " | "))
	}
	if got := table + "\n"; got != rows.String() {
		t.Errorf("under %q docs/protocol.md has\n%s\nwant\n%s", heading, got, rows.String())
	}
}

func TestProtocolPageTables(t *testing.T) {
	page := protocolPage(t)
	var rows [][]string
	for _, c := range codes {
		retry := "no"
		if c.Retryable {
			retry = "yes"
		}
		rows = append(rows, []string{"`" + string(c.Code) + "`", retry, c.Text})
	}
	expectTable(t, page, "## Codes", rows)

	rows = nil
	for _, c := range closeCodes {
		rows = append(rows, []string{fmt.Sprint(c.Code), c.Text})
	}
	expectTable(t, page, "## Close codes", rows)

	rows = nil
	for _, r := range gapReasons {
		rows = append(rows, []string{"`" + string(r.Reason) + "`", r.Text})
	}
	expectTable(t, page, "### gap", rows)
}

// TestProtocolPageExamples decodes every example, and expects each frame to have
// one.
func TestProtocolPageExamples(t *testing.T) {
	page := protocolPage(t)
	seen := map[FrameType]bool{}
	var d Decoder
	for i, block := range strings.Split(page, "```json\n") {
		if i == 0 {
			continue
		}
		block, _, _ = strings.Cut(block, "```")
		for example := range strings.Lines(block) {
			example = strings.TrimSuffix(example, "\n")
			var s ServerFrame
			if err := DecodeServer(JSON, []byte(example), &s); err != nil {
				t.Errorf("%v in %s", err, example)
				continue
			}
			if s.Type != FrameUnknown {
				seen[s.Type] = true
				body := strings.Contains(example, `"body`)
				if got := string(appendServer(t, nil, JSON, &s, body)); got != example {
					t.Errorf("the example\n%s, a server writes\n%s", example, got)
				}
				continue
			}
			var c ClientFrame
			if err := d.Decode(JSON, []byte(example), &DefaultLimits, &c); err != nil {
				t.Errorf("%v in %s", err, example)
			}
			seen[c.Type] = true
		}
	}
	for f := FrameSend; f <= FrameError; f++ {
		if !seen[f] {
			t.Errorf("docs/protocol.md has no example of %v", f)
		}
	}
}

// TestProtocolPageLimits: the numbers that the page tells are those of the code.
func TestProtocolPageLimits(t *testing.T) {
	_, limits, _ := strings.Cut(protocolPage(t), "\n## Limits\n")
	for what, n := range map[string]int{
		"| user id | 1 to %d bytes":              backplane.MaxUserID,
		"a history | 1 to %d bytes":              backplane.MaxClientID,
		"| device name | at most %d bytes":       backplane.MaxDevice,
		"1 to `recipients`, at most %d |":        backplane.MaxRecipients,
		"at most `body_bytes`, at most %d bytes": backplane.MaxBody,
		"| `ttl_ms` | at most %d,":               backplane.MaxTTL,
		"| token | at most %d bytes":             MaxToken,
		"1 to `page_messages`, at most %d |":     MaxPage,
		"the one that brings them to %d bytes":   PageBytes,
		"1 to `start_messages`, at most %d |":    MaxStart,
	} {
		if want := fmt.Sprintf(what, n); !strings.Contains(limits, want) {
			t.Errorf("docs/protocol.md does not say %q under Limits", want)
		}
	}
	var asJSON, asProto int
	_, server, _ := strings.Cut(limits, "\n| WebSocket message of a server | ")
	if _, err := fmt.Sscanf(server, "less than %d bytes in JSON, %d in protobuf;", &asJSON, &asProto); err != nil {
		t.Fatal(err)
	}
	for enc, told := range map[Encoding]int{JSON: asJSON, Proto: asProto} {
		if n := MaxServerFrame(enc); n >= told || n < told*9/10 {
			t.Errorf("%v: docs/protocol.md tells %d bytes, MaxServerFrame %d", enc, told, n)
		}
	}
}

// TestCodes holds what clients may rely on.
func TestCodes(t *testing.T) {
	seen := map[backplane.Code]bool{}
	for _, c := range Codes() {
		if seen[c.Code] {
			t.Errorf("%q is listed twice", c.Code)
		}
		seen[c.Code] = true
		if strings.ContainsFunc(string(c.Code), func(r rune) bool { return r != '_' && !unicode.IsLower(r) }) {
			t.Errorf("%q is no code", c.Code)
		}
		if !strings.HasSuffix(c.Text, ".") {
			t.Errorf("%q has no sentence: %q", c.Code, c.Text)
		}
		if Retryable(c.Code) != c.Retryable {
			t.Errorf("Retryable(%q) is not what the list says", c.Code)
		}
		if got := codeOf([]byte(c.Code)); got != c.Code {
			t.Errorf("codeOf(%q) = %q", c.Code, got)
		}
		// What a client may retry must not end in a close that tells it to stay away,
		// and the other way round.
		class := CloseFor(c.Code) / 100
		if class == 40 && c.Retryable || (class == 41 || class == 42) && !c.Retryable {
			t.Errorf("%q: retryable is %v, but the close code is %d", c.Code, c.Retryable, CloseFor(c.Code))
		}
	}
	for _, code := range []backplane.Code{
		backplane.CodeOverloaded, backplane.CodeTooLarge, backplane.CodeForbidden,
		backplane.CodeTimeout, backplane.CodeUnavailable, backplane.CodeShutdown,
	} {
		if !seen[code] {
			t.Errorf("%q of package backplane is not listed", code)
		}
	}
	if Retryable("never_heard_of") || Retryable("") {
		t.Error("an unknown code is retryable")
	}
	if CloseFor("never_heard_of") != CloseInternal {
		t.Error("an unknown code does not close with 1011")
	}
	Codes()[0].Retryable = true
	if codes[0].Retryable {
		t.Error("Codes gives its table away")
	}
}

func TestCloseCodesTable(t *testing.T) {
	known := map[CloseCode]bool{}
	for _, c := range closeCodes {
		if known[c.Code] {
			t.Errorf("close code %d is listed twice", c.Code)
		}
		known[c.Code] = true
	}
	used := map[CloseCode]bool{CloseGoingAway: true} // given without a code
	for _, c := range codes {
		close := CloseFor(c.Code)
		used[close] = true
		if !known[close] {
			t.Errorf("CloseFor(%q) = %d, which closeCodes does not list", c.Code, close)
		}
	}
	for code := range known {
		if !used[code] {
			t.Errorf("no code closes with %d", code)
		}
	}
}

func TestEncodings(t *testing.T) {
	for enc, c := range map[Encoding]struct {
		subprotocol, name string
		text              bool
	}{
		JSON:  {"godwit.v1.json", "json", true},
		Proto: {"godwit.v1.proto", "proto", false},
	} {
		if enc.Subprotocol() != c.subprotocol || enc.String() != c.name || enc.Text() != c.text || int(enc) >= Encodings {
			t.Errorf("encoding %d: %q, %q, text %v", enc, enc.Subprotocol(), enc, enc.Text())
		}
		if got, ok := EncodingOf(c.subprotocol); !ok || got != enc {
			t.Errorf("EncodingOf(%q) = %v, %v", c.subprotocol, got, ok)
		}
	}
	for _, name := range []string{"", "godwit.v1", "godwit.v2.json", "GODWIT.V1.JSON", "godwit.v1.json "} {
		if enc, ok := EncodingOf(name); ok {
			t.Errorf("EncodingOf(%q) = %v", name, enc)
		}
	}
}
