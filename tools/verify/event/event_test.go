package event_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
)

var update = flag.Bool("update", false, "write the golden file")

const golden = "testdata/events.jsonl"

func id(n byte) event.MessageID { return event.MessageID{0: n, 15: 0xab} }

// examples has every event, with all members and with as few as may be.
func examples() []event.Event {
	hi := event.Message{
		MessageID: id(1), From: "alice", To: []string{"bob", "<&>\u2028"}, ID: "m1", Kind: event.Ordinary,
		TTL: 86400000, BodySum: event.SumOf([]byte("hi")),
	}
	typing := event.Message{MessageID: id(2), From: "bob", To: []string{"alice"}, ID: "m2", Kind: event.Signal}
	return []event.Event{
		&event.Run{Format: event.Format, Seed: 1<<64 - 1, Command: "godwit verify --seed 7", Start: 1767225600000},
		&event.Phase{Name: event.Warmup},
		&event.Fault{N: 1, Kind: "kill", Target: "node-1", Phase: event.Begin},
		&event.Fault{N: 1, Kind: "kill", Target: "node-1", Phase: event.Hit, Detail: "3 connections ended"},
		&event.Connect{
			Conn: 1, User: "alice", Device: "phone", Client: "plain", Encoding: "proto", Overflow: "gap", URL: "ws://n1/v1/connect",
			Cursor: "AQHcAgA", Back: 2, Session: "00c0ffee00000001", Node: "n1", MapVersion: 7, Welcome: "AQHcAgA", Resumed: true,
		},
		&event.Connect{Conn: 2, User: "bob", Device: "phone", Client: "go", Encoding: "json", URL: "ws://n1/v1/connect", Start: "live"},
		&event.Refused{User: "bob", Device: "phone", URL: "ws://n2/v1/connect", Status: 421, Why: "not_owner"},
		&event.Send{
			Conn: 1, ID: "m1", MessageID: id(1), To: []string{"bob", "<&>\u2028"}, Kind: event.Ordinary, TTL: 86400000,
			Bytes: 2, BodySum: event.SumOf([]byte("hi")), Attempt: 1,
		},
		&event.Ack{Conn: 1, ID: "m1", MessageID: id(1), Time: 1767225600123},
		&event.Nack{Conn: 1, ID: "m3", Code: "overloaded"},
		&event.Unknown{Conn: 1, ID: "m4", Why: "connection lost"},
		&event.Deliver{Conn: 1, Seq: 1, Cursor: "AQHcAvjBAg", Time: 1767225600123, Self: true, Message: hi},
		&event.Deliver{Conn: 2, Cursor: "AQHcAvjBAg", Time: 1767225600123, Message: typing},
		&event.Heartbeat{Conn: 1, Seq: 1, Cursor: "AQHcAvjBAg"},
		&event.Gap{Conn: 1, FromSeq: 2, ToSeq: 9, Reason: "outbox_full", After: "AQHcAvjBAg", Before: "AQHcAo_CAg"},
		&event.Gone{Conn: 1, Seq: 10, After: "AQHcAvjBAg", Before: "AQHcAo_CAg"},
		&event.Page{
			Conn: 1, Query: event.Query{After: "AQHcAgA", Before: "AQHcAo_CAg", Limit: 100, Peer: "bob"}, Reading: true,
			Entries: []event.Entry{{Cursor: "AQHcAvjBAg", Time: 1767225600123, Self: true, Message: hi}, {Cursor: "AQHcAvnBAg", Message: typing}},
			More:    true, Gone: "AQHcAvfBAg",
		},
		&event.Page{Conn: 1, Query: event.Query{Around: "AQHcAgA"}, Code: "history_behind"},
		&event.Moved{Conn: 1, URL: "ws://n2/v1/connect", Node: "n2", MapVersion: 8, RetryAfter: 250},
		&event.Violation{Conn: 1, What: "an ack for an id that was not sent"},
		&event.Close{Conn: 1, Code: 4200, Reason: "moved"},
		&event.Close{Conn: 2},
		&event.Counter{Node: "n1", Name: `godwit_drops_total{reason="gone"}`, Value: 12},
		&event.Log{Partition: 3, Offset: 17, Time: 1767225600123, Users: []string{"alice", "bob"}, Message: hi},
		&event.LogEnd{Partitions: 64, Records: 1},
	}
}

// written returns a file of the events, a millisecond apart.
func written(t testing.TB, by string, events []event.Event) []byte {
	t.Helper()
	var file bytes.Buffer
	var now time.Duration
	w := event.NewWriter(&file, func() time.Duration { now += time.Millisecond; return now })
	for _, e := range events {
		if err := w.Write(by, e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if w.Lines() != int64(len(events)) {
		t.Fatalf("%d lines were counted, want %d", w.Lines(), len(events))
	}
	return file.Bytes()
}

// The format is public: what others have built upon it must go on to work.
func TestGoldenFile(t *testing.T) {
	const by = "alice/phone"
	file := written(t, by, examples())
	if *update {
		if err := os.WriteFile(golden, file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file, want) {
		t.Errorf("the file differs from %s:\n%s", golden, file)
	}
	n := 0
	for rec, err := range event.Records(bytes.NewReader(want)) {
		if err != nil {
			t.Fatal(err)
		}
		wanted := event.Record{
			Line: int64(n + 1), T: time.Duration(n+1) * time.Millisecond, By: by, Event: examples()[n],
		}
		if !reflect.DeepEqual(rec, wanted) {
			t.Errorf("line %d is %+v, want %+v", n+1, rec.Event, wanted.Event)
		}
		n++
	}
	if n != len(examples()) {
		t.Errorf("%d events were read, want %d", n, len(examples()))
	}
}

// Others may write the file, too: only the meaning of JSON counts.
func TestReaderTakesAnyJSON(t *testing.T) {
	const line = "{ \"conn\":3, \"by\":\"x\",\t\"new\":[1], \"t\":5, \"type\":\"close\" }\n"
	rec, err := event.Decode([]byte(line))
	want := event.Record{T: 5, By: "x", Event: &event.Close{Conn: 3}}
	if err != nil || !reflect.DeepEqual(rec, want) {
		t.Errorf("%+v, %v; want %+v", rec, err, want)
	}
}

func TestReaderRefuses(t *testing.T) {
	good := `{"type":"close","t":1,"by":"x","conn":1}` + "\n"
	for name, c := range map[string]struct {
		file string
		line int64
		want string
	}{
		"an empty line":            {good + "\n" + good, 2, "JSON"},
		"no JSON":                  {good + "close\n", 2, "invalid character"},
		"no type":                  {`{"t":1}` + "\n", 1, "unknown type"},
		"another type":             {`{"type":"open","t":1}` + "\n", 1, `unknown type "open"`},
		"a line that was cut":      {good + good[:len(good)-1], 2, "unexpected EOF"},
		"a line that is too long":  {good + `{"type":"close","by":"` + strings.Repeat("x", event.MaxLine) + "\"}\n", 2, "longer"},
		"another format":           {`{"type":"run","format":2,"seed":"1"}` + "\n", 1, "format 2"},
		"no connection":            {`{"type":"close","t":1}` + "\n", 1, "conn is missing"},
		"a short message id":       {`{"type":"ack","conn":1,"id":"a","message_id":"ab"}` + "\n", 1, "32 hexadecimal digits"},
		"no message id":            {`{"type":"ack","conn":1,"id":"a"}` + "\n", 1, "message_id is missing"},
		"a kind that is none":      {`{"type":"deliver","conn":1,"message_id":"` + id(1).String() + `","kind":"call"}` + "\n", 1, `no kind "call"`},
		"a phase that is none":     {`{"type":"phase","name":"lunch"}` + "\n", 1, `no phase "lunch"`},
		"a step that is none":      {`{"type":"fault","phase":"lunch"}` + "\n", 1, `no phase "lunch"`},
		"a device without a name":  {`{"type":"connect","conn":1,"user":"a"}` + "\n", 1, "device is missing"},
		"back without a cursor":    {`{"type":"connect","conn":1,"user":"a","device":"d","back":1}` + "\n", 1, "back goes with a cursor"},
		"an attempt before others": {`{"type":"send","conn":1,"id":"a"}` + "\n", 1, "count from 1"},
	} {
		t.Run(name, func(t *testing.T) {
			var last error
			for _, err := range event.Records(strings.NewReader(c.file)) {
				last = err
			}
			var bad *event.Error
			if !errors.As(last, &bad) || bad.Line != c.line || !strings.Contains(last.Error(), c.want) {
				t.Errorf("got %v, want %q in line %d", last, c.want, c.line)
			}
		})
	}
}

func TestReaderTakesLongLines(t *testing.T) {
	const by = `alice's "phone"`
	page := &event.Page{Conn: 1, Gone: strings.Repeat("x", 3<<20)}
	n := 0
	for rec, err := range event.Records(bytes.NewReader(written(t, by, []event.Event{page, page, &event.Close{Conn: 1}}))) {
		if n++; err != nil || rec.By != by || n < 3 && !reflect.DeepEqual(rec.Event, page) {
			t.Fatalf("line %d: %v", n, err)
		}
	}
	if n != 3 {
		t.Errorf("%d events, want 3", n)
	}
}

func TestReaderStops(t *testing.T) {
	for range event.Records(bytes.NewReader(written(t, "x", examples()))) {
		break // a reader that went on would panic
	}
}

func TestWriterRefuses(t *testing.T) {
	w := event.NewWriter(io.Discard, func() time.Duration { return 0 })
	if err := w.Write("x", &event.Close{}); err == nil {
		t.Error("an event without a connection was written")
	}
	if err := w.Write(strings.Repeat("x", event.MaxLine), &event.Close{Conn: 1}); err == nil {
		t.Error("a line was written that no reader takes")
	}
	if w.Lines() != 0 {
		t.Errorf("%d lines, want none", w.Lines())
	}
}

var errFull = errors.New("the disk is full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

// A file that cannot be written is no history: everyone hears of it from then on.
func TestWriterTellsThatTheFileFails(t *testing.T) {
	w := event.NewWriter(full{}, func() time.Duration { return 0 })
	if err := w.Write("x", &event.Close{Conn: 1}); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); !errors.Is(err, errFull) {
		t.Errorf("Flush says %v", err)
	}
	if err := w.Write("x", &event.Close{Conn: 1}); !errors.Is(err, errFull) {
		t.Errorf("Write says %v", err)
	}
	if err := w.Flush(); !errors.Is(err, errFull) {
		t.Errorf("Flush says %v afterwards", err)
	}
}

// Each goroutine's events stand in its order, none is lost, and no line is torn.
func TestWriterTakesEventsFromManyGoroutines(t *testing.T) {
	const writers, each = 8, 500
	path := filepath.Join(t.TempDir(), "history.jsonl")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var now time.Duration // guarded by the Writer
	w := event.NewWriter(file, func() time.Duration { now++; return now })
	var wg sync.WaitGroup
	for conn := range writers {
		wg.Go(func() {
			for seq := range each {
				if err := w.Write("x", &event.Heartbeat{Conn: uint64(conn + 1), Seq: uint64(seq)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	var next [writers + 1]uint64
	var last time.Duration
	for rec, err := range event.Records(file) {
		if err != nil {
			t.Fatal(err)
		}
		h := rec.Event.(*event.Heartbeat)
		if h.Seq != next[h.Conn] || rec.T <= last {
			t.Fatalf("line %d is number %d of writer %d at %d, want %d, after %d", rec.Line, h.Seq, h.Conn, rec.T, next[h.Conn], last)
		}
		next[h.Conn]++
		last = rec.T
	}
	for conn, n := range next[1:] {
		if n != each {
			t.Errorf("%d events of writer %d, want %d", n, conn, each)
		}
	}
}

func TestSumTellsNoBodyFromAnEmptyOne(t *testing.T) {
	if got := event.SumOf(nil); got != "cbf29ce484222325" { // the offset basis of FNV-1a
		t.Errorf("the sum of an empty body is %s", got)
	}
}

// Whatever decodes is an event that a Writer takes, and comes back as it was.
func FuzzDecode(f *testing.F) {
	for line := range bytes.Lines(written(f, "x", examples())) {
		f.Add(line)
	}
	f.Add([]byte(`{"by":"x", "conn":1, "type":"close"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		rec, err := event.Decode(line)
		if err != nil {
			return
		}
		var file bytes.Buffer
		w := event.NewWriter(&file, func() time.Duration { return rec.T })
		if err := w.Write(rec.By, rec.Event); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		again, err := event.Decode(file.Bytes())
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		var second bytes.Buffer
		w = event.NewWriter(&second, func() time.Duration { return again.T })
		if err := errors.Join(w.Write(again.By, again.Event), w.Flush()); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(file.Bytes(), second.Bytes()) {
			t.Errorf("%s\nbecame\n%s", file.Bytes(), second.Bytes())
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	line := written(b, "alice/phone", examples()[11:12])
	b.ReportAllocs()
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if _, err := event.Decode(line); err != nil {
			b.Fatal(err)
		}
	}
}
