package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/godwit-im/godwit/tools/verify/check"
	"github.com/godwit-im/godwit/tools/verify/event"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares what was made with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := "testdata/" + name
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		at := 0
		for at < min(len(got), len(want)) && got[at] == want[at] {
			at++
		}
		t.Errorf("it differs from %s at byte %d: %q, want %q", path, at, got[at:min(len(got), at+120)], want[at:min(len(want), at+120)])
	}
}

// example is a report of a small run, with suffix in every text that comes from outside.
func example(t *testing.T, outcome check.Outcome, suffix string) *Report {
	t.Helper()
	events := sim{seed: 3, users: 5, each: 2, rate: 20, length: 12 * time.Second, faults: 6, suffix: suffix}.list()
	story := collect(t, events)
	id := event.MessageID{0xab, 15: 1}
	c := &check.Report{
		Outcome: outcome,
		Findings: []check.Finding{
			{Check: "enough", Promise: "The run has acknowledged enough messages.", Verdict: check.OK, Tested: 1200, Note: "1200 messages were acknowledged" + suffix},
			{Check: "order", Promise: "What comes to a device follows the log.", Verdict: check.OK, Tested: 12345},
			{Check: "rejected_nowhere", Promise: "A rejected message is nowhere.", Verdict: check.NotTested},
		},
		Stats: check.Stats{Events: int64(len(events)), Acked: 1200},
	}
	quotes := Quotes{}
	switch outcome {
	case check.Failed:
		c.Findings[1].Verdict, c.Findings[1].Violations = check.Violated, 3
		c.Findings[1].Evidence = []check.Evidence{
			{What: "device d0 was given it too late" + suffix, MessageID: &id, Lines: []int64{3, 7}},
			{What: "and again", Lines: []int64{7}},
			{What: "and a third time", Lines: []int64{3}},
		}
		quotes[3], quotes[7] = `{"type":"send","by":"u0`+suffix+`"}`, `{"type":"deliver"}`
	case check.Unknown:
		c.Findings[0].Verdict, c.Findings[0].Note = check.NotTested, "faults did not hit: 6"+suffix
	}
	return &Report{
		Outcome: outcome, Check: c, Story: story, Quotes: quotes,
		Versions: Versions{
			Godwit: "v1.0.0" + suffix, Kafka: "4.1.0" + suffix, Store: "Cassandra 5.0.5", Go: "go1.26.0", System: "linux/amd64",
			Kernel: "6.1.0" + suffix, Cores: 2, Memory: 24 << 30,
		},
		Settings: []Setting{{"nodes", "3"}, {"faults" + suffix, "all" + suffix}},
		Files:    []File{{"out/events.jsonl" + suffix, "the history of the run"}, {"out/report.json", "this report for programs"}},
		Notes:    map[bool][]string{true: {"the run was interrupted" + suffix}}[outcome == check.Unknown],
	}
}

func html(t *testing.T, r *Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestGoldenReports(t *testing.T) {
	for _, outcome := range []check.Outcome{check.Passed, check.Failed, check.Unknown} {
		r := example(t, outcome, "")
		var text bytes.Buffer
		if err := r.Text(&text); err != nil {
			t.Fatal(err)
		}
		golden(t, string(outcome)+".txt", text.Bytes())
	}
	r := example(t, check.Failed, "")
	golden(t, "failed.html", html(t, r))
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "failed.json", b)
}

// A run may end before there is anything to tell of.
func TestReportOfNothing(t *testing.T) {
	r := &Report{Outcome: check.Unknown, Notes: []string{"Kafka did not start."}}
	page := html(t, r)
	var text bytes.Buffer
	if err := r.Text(&text); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string][]byte{"page": page, "text": text.Bytes(), "JSON": b} {
		if !bytes.Contains(got, []byte("Kafka did not start.")) {
			t.Errorf("the %s does not say why: %s", what, got)
		}
	}
	if bytes.Contains(page, []byte("<svg")) || bytes.Contains(b, []byte(`"steps"`)) {
		t.Error("there is a picture of nothing")
	}
	// One without events, and one of a moment.
	for _, events := range [][]event.Record{nil, script(connect(1, "alice", "phone", ""))} {
		r.Story = collect(t, events)
		if page := html(t, r); !bytes.Contains(page, []byte("<svg")) || bytes.Contains(page, []byte("NaN")) || bytes.Contains(page, []byte("Inf")) {
			t.Errorf("of %d events there is no good picture", len(events))
		}
	}
}

// Names and texts come from clients, servers and command lines.
func TestHostileTexts(t *testing.T) {
	const suffix = "</title></svg><script>alert(1)</script>\" onload='x' \x1b[2J\u0085{{.}}"
	for _, outcome := range []check.Outcome{check.Passed, check.Failed, check.Unknown} {
		r := example(t, outcome, suffix)
		page := html(t, r)
		if bytes.Contains(page, []byte("<script")) || bytes.Contains(page, []byte("onload='")) {
			t.Errorf("%s: a text got out of its place", outcome)
		}
		if !bytes.Contains(page, []byte("&lt;script&gt;alert(1)")) {
			t.Errorf("%s: the text is not there", outcome)
		}
		for i, svg := range pictures(t, page) {
			wellFormed(t, fmt.Sprint(outcome, " ", i), svg)
		}
		var text bytes.Buffer
		if err := r.Text(&text); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(text.String(), "\x1b\u0085") {
			t.Errorf("%s: the terminal is told what to do: %q", outcome, text.String())
		}
		b, err := json.Marshal(r)
		if err != nil || !json.Valid(b) {
			t.Errorf("%s: the JSON is not valid: %v", outcome, err)
		}
	}
}

// pictures returns what is between the svg tags of a page.
func pictures(t *testing.T, page []byte) []string {
	t.Helper()
	var list []string
	for rest := string(page); ; {
		_, after, ok := strings.Cut(rest, "<svg ")
		if !ok {
			break
		}
		svg, more, ok := strings.Cut(after, "</svg>")
		if !ok {
			t.Fatal("an svg has no end")
		}
		list, rest = append(list, "<svg "+svg+"</svg>"), more
	}
	if len(list) != 3 {
		t.Fatalf("there are %d pictures, want 3", len(list))
	}
	return list
}

// wellFormed checks that a picture is XML, and that it says what it is.
func wellFormed(t *testing.T, name, svg string) {
	t.Helper()
	dec := xml.NewDecoder(strings.NewReader(svg))
	dec.Entity = xml.HTMLEntity
	seen := make(map[string]int)
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if start, ok := token.(xml.StartElement); ok {
			seen[start.Name.Local]++
			for _, a := range start.Attr {
				if strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") {
					t.Errorf("%s: <%s %s=%q>", name, start.Name.Local, a.Name.Local, a.Value)
				}
			}
		}
	}
	if seen["desc"] != 1 || seen["title"] == 0 || seen["path"] == 0 || seen["text"] == 0 {
		t.Errorf("%s: the picture has %v", name, seen)
	}
}

// The page is shown where there is no network, and mailed around.
func TestPageFetchesNothing(t *testing.T) {
	page := string(html(t, example(t, check.Failed, "")))
	for _, what := range []string{"http://", "https://", "src=", "href=", "url(", "@import", "<script", "<link", "<iframe", "<img"} {
		if strings.Contains(page, what) {
			t.Errorf("the page has %q", what)
		}
	}
	if !strings.Contains(page, "default-src 'none'") {
		t.Error("the page does not forbid itself to fetch anything")
	}
	if n := strings.Count(page, "<table"); n < 5 || n != strings.Count(page, "</table>") {
		t.Errorf("there are %d tables", n)
	}
}

func TestATerminalGetsNoEndlessList(t *testing.T) {
	r := &Report{Outcome: check.Unknown, Story: &Story{}}
	for n := range 1000 {
		f := Fault{N: n, Kind: "move", Target: "node-1", End: time.Second}
		if n == 999 {
			f.Hit = Never
		}
		r.Story.Faults = append(r.Story.Faults, f)
	}
	var text bytes.Buffer
	if err := r.Text(&text); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(text.String(), "\n"); n > maxFaults+10 || !strings.Contains(text.String(), "did not hit") ||
		!strings.Contains(text.String(), fmt.Sprint("and ", 999-maxFaults, " more")) {
		t.Errorf("%d lines: %s", n, text.String())
	}
}

func TestWriteErrorsAreReturned(t *testing.T) {
	r := example(t, check.Passed, "")
	failed := errors.New("disk full")
	if err := r.WriteHTML(failingWriter{failed}); !errors.Is(err, failed) {
		t.Errorf("the page: %v", err)
	}
	if err := r.Text(failingWriter{failed}); !errors.Is(err, failed) {
		t.Errorf("the text: %v", err)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestQuote(t *testing.T) {
	long := strings.Repeat("ü", 40<<10)
	file := "one\ntwo\n" + long + "\n\xff\x00four\nfive\nlast"
	findings := []check.Finding{
		{Evidence: []check.Evidence{{Lines: []int64{2, 3}}, {Lines: []int64{4, 2}}}},
		{Evidence: []check.Evidence{{Lines: []int64{6, 99}}}},
	}
	quotes, err := Quote(iotest.HalfReader(strings.NewReader(file)), findings)
	if err != nil {
		t.Fatal(err)
	}
	want := Quotes{2: "two", 3: long[:maxQuote] + "…", 4: "\uFFFD\x00four", 6: "last"}
	if len(quotes) != len(want) {
		t.Errorf("%d lines are quoted, want %d", len(quotes), len(want))
	}
	for n, text := range want {
		if quotes[n] != text {
			t.Errorf("line %d is %.50q, want %.50q", n, quotes[n], text)
		}
	}
	if quotes, err := Quote(iotest.ErrReader(errors.New("no such")), nil); err != nil || len(quotes) != 0 {
		t.Errorf("without evidence nothing need be read, and it is %v, %v", quotes, err)
	}
	broken := errors.New("bad sector")
	if _, err := Quote(io.MultiReader(strings.NewReader("one\nt"), iotest.ErrReader(broken)), findings); !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
}

func TestMachine(t *testing.T) {
	if v := Machine(); v.Cores < 1 || v.Go == "" || v.Kernel == "" || v.Memory < 64<<20 {
		t.Errorf("this is %+v", v)
	}
	if n := memTotal("MemFree: 12 kB\nMemTotal:       24689444 kB\n"); n != 24689444<<10 {
		t.Errorf("the memory is %d", n)
	}
	for _, text := range []string{"", "MemTotal: x kB\n"} {
		if n := memTotal(text); n != 0 {
			t.Errorf("of %q the memory is %d", text, n)
		}
	}
}

// docs/verify.md describes the report in JSON for others: all members.
func TestDocsDescribeEveryMember(t *testing.T) {
	text, err := os.ReadFile("../../../docs/verify.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n## The report\n")
	if !ok {
		t.Fatal("docs/verify.md does not describe the report")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	b, err := json.Marshal(example(t, check.Failed, ""))
	if err != nil {
		t.Fatal(err)
	}
	var value any
	if err := json.Unmarshal(b, &value); err != nil {
		t.Fatal(err)
	}
	var walk func(value any)
	seen := make(map[string]bool)
	walk = func(value any) {
		switch value := value.(type) {
		case []any:
			for _, v := range value {
				walk(v)
			}
		case map[string]any:
			for name, v := range value {
				if !seen[name] && !strings.Contains(section, "`"+name+"`") {
					t.Errorf("docs/verify.md does not describe %s", name)
				}
				seen[name] = true
				walk(v)
			}
		}
	}
	walk(value)
	if len(seen) < 50 {
		t.Errorf("only %d members were seen", len(seen))
	}
}

// TestReasons leaves out what the run need not show.
func TestReasons(t *testing.T) {
	r := Report{Outcome: check.Unknown, Notes: []string{"it rained"}, Without: []string{"conservation"}, Check: &check.Report{Findings: []check.Finding{
		{Check: "enough", Verdict: check.NotTested, Note: "too little"},
		{Check: "rejected_nowhere", Verdict: check.NotTested},
		{Check: "conservation", Verdict: check.NotTested, Note: "no counters"},
		{Check: "order", Verdict: check.OK, Note: "fine"},
	}}}
	if got := r.Reasons(); !slices.Equal(got, []string{"it rained", "enough: too little"}) {
		t.Errorf("%q", got)
	}
	r.Outcome = check.Passed
	if got := r.Reasons(); got != nil {
		t.Errorf("of a run that has passed: %q", got)
	}
}
