package check_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/tools/verify/check"
	"github.com/godwit-im/godwit/tools/verify/event"
)

// The load of the benchmark, as `godwit verify` makes it: each message has three
// recipients, and everybody two devices.
const (
	benchUsers      = 200
	benchDevices    = 2
	benchRecipients = 3
	benchLate       = 50 // a delivery comes so many messages after its ack
)

// load makes the history of a run in which n messages are sent, and nothing goes wrong. The
// events are used again and again. Read is called when all but the end was given.
func load(n int, read func()) iter.Seq2[event.Record, error] {
	return func(yield func(event.Record, error) bool) {
		line := int64(0)
		give := func(e event.Event) {
			line++
			yield(event.Record{Line: line, T: time.Duration(line) * 100 * time.Microsecond, Event: e}, nil)
		}
		name := make([]string, benchUsers)
		for u := range name {
			name[u] = fmt.Sprint("user-", u)
			for d := range benchDevices {
				give(&event.Connect{Conn: uint64(1 + u*benchDevices + d), User: name[u], Device: fmt.Sprint("d", d)})
			}
		}
		message := func(i int) event.Message {
			m := event.Message{From: name[i%benchUsers], ID: fmt.Sprint("m", i), Kind: event.Ordinary, BodySum: "a"}
			binary.LittleEndian.PutUint64(m.MessageID[:], uint64(i+1)*0x9e3779b97f4a7c15)
			for r := range benchRecipients {
				m.To = append(m.To, name[(i+1+(i/benchUsers+r)%(benchUsers-1))%benchUsers])
			}
			return m
		}
		people := func(m *event.Message) []int {
			var all []int
			for u := range name {
				if name[u] == m.From || slices.Contains(m.To, name[u]) {
					all = append(all, u)
				}
			}
			return all
		}
		var seq [1 + benchUsers*benchDevices]uint64
		deliver := func(i int) {
			m := message(i)
			for _, u := range people(&m) {
				for d := range benchDevices {
					conn := uint64(1 + u*benchDevices + d)
					seq[conn]++
					give(&event.Deliver{Conn: conn, Seq: seq[conn], Cursor: "c", Self: name[u] == m.From, Message: m})
				}
			}
		}
		for i := range n {
			m := message(i)
			conn := uint64(1 + i%benchUsers*benchDevices)
			give(&event.Send{Conn: conn, ID: m.ID, MessageID: m.MessageID, To: m.To, Kind: m.Kind, BodySum: m.BodySum, Attempt: 1})
			give(&event.Ack{Conn: conn, ID: m.ID, MessageID: m.MessageID})
			if i >= benchLate {
				deliver(i - benchLate)
			}
		}
		for i := max(0, n-benchLate); i < n; i++ {
			deliver(i)
		}
		give(&event.Phase{Name: event.Read})
		for i := range n {
			m := message(i)
			for _, u := range people(&m) {
				give(&event.Log{Partition: int32(u), Offset: int64(i), Time: int64(100 * i), Users: name[u : u+1], Message: m})
			}
		}
		give(&event.LogEnd{Records: int64(n * (1 + benchRecipients))})
		for i := range n {
			m := message(i)
			for _, u := range people(&m) {
				give(&event.Page{Conn: uint64(1 + u*benchDevices), Reading: true, Entries: []event.Entry{{Self: name[u] == m.From, Message: m}}})
			}
		}
		read()
	}
}

// BenchmarkRun makes all checks of a history that is in memory, without
// decoding. B/message is what is kept when the last event has come.
func BenchmarkRun(b *testing.B) {
	const messages = 100_000
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var events, kept int64
	for b.Loop() {
		before := heap()
		r, err := check.Run(load(messages, func() { kept = int64(heap() - before) }), check.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if f := finding(b, r, "stored_on_devices"); f.Tested != messages*(1+benchRecipients)*benchDevices || r.Outcome == check.Failed {
			b.Fatalf("%s: %+v", r.Outcome, r.Findings)
		}
		events += r.Stats.Events
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(kept)/messages, "B/message")
}

// BenchmarkFile does the same from a file.
func BenchmarkFile(b *testing.B) {
	var file bytes.Buffer
	w := event.NewWriter(&file, func() time.Duration { return 0 })
	for rec := range load(2000, func() {}) {
		if err := w.Write("user-1/d0", rec.Event); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(file.Len()))
	for b.Loop() {
		if _, err := check.Run(event.Records(bytes.NewReader(file.Bytes())), check.Options{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(int64(b.N)*w.Lines())/b.Elapsed().Seconds(), "events/s")
}
