package check_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/tools/verify/check"
	"github.com/godwit-im/godwit/tools/verify/event"
)

func options() check.Options {
	return check.Options{MinAcks: 20, MinFaults: modelFaults, Converge: modelConverge}
}

// judge makes all checks.
func judge(t testing.TB, h history) *check.Report {
	t.Helper()
	r, err := check.Run(h.all(), options())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func finding(t testing.TB, r *check.Report, name string) check.Finding {
	t.Helper()
	for _, f := range r.Findings {
		if f.Check == name {
			return f
		}
	}
	t.Fatalf("there is no check %q", name)
	return check.Finding{}
}

// A checker that sees what is not there is of no use: nothing is wrong in these.
func TestCorrectHistoriesPass(t *testing.T) {
	tested := make(map[string]int64)
	for seed := range uint64(100) {
		r := judge(t, run(seed))
		for _, f := range r.Findings {
			tested[f.Check] += f.Tested
			if f.Verdict == check.Violated || f.Violations > 0 || len(f.Evidence) > 0 {
				t.Errorf("seed %d: %s: %+v", seed, f.Check, f)
			}
		}
		if r.Outcome != check.Passed {
			t.Errorf("seed %d: %s: %+v", seed, r.Outcome, r.Findings)
		}
		if t.Failed() {
			return
		}
	}
	for name, n := range tested {
		if n == 0 {
			t.Errorf("%s was never tested", name)
		}
	}
}

// What a history is written to is what is read from it, and the checks say the same.
func TestHistoriesPassThroughFiles(t *testing.T) {
	h := run(7)
	var file bytes.Buffer
	var now time.Duration
	w := event.NewWriter(&file, func() time.Duration { return now })
	for _, rec := range h {
		now = rec.T
		if err := w.Write(rec.By, rec.Event); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	fromFile, err := check.Run(event.Records(&file), options())
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(fromFile)
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(judge(t, h))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("from the file: %s\ndirectly: %s", got, want)
	}
}

// A history that cannot be right says nothing of the server, and names the line.
func TestHistoriesThatCannotBeRight(t *testing.T) {
	connect := &event.Connect{Conn: 1, User: "alice", Device: "phone"}
	send := &event.Send{Conn: 1, ID: "a", MessageID: event.MessageID{1}, To: []string{"bob"}, Kind: event.Ordinary, BodySum: "0", Attempt: 1}
	other := *send
	other.To = []string{"carol"}
	log := &event.Log{Partition: 1, Offset: 5, Message: event.Message{MessageID: event.MessageID{1}}}
	for name, c := range map[string]struct {
		events []event.Event
		want   string
	}{
		"a connection that nobody opened": {[]event.Event{&event.Close{Conn: 1}}, "no connection 1"},
		"a connection that opens twice":   {[]event.Event{connect, connect}, "a connection 1 already"},
		"a connection that closes twice":  {[]event.Event{connect, &event.Close{Conn: 1}, &event.Close{Conn: 1}}, "closed already"},
		"more comes again than came": {[]event.Event{connect, &event.Connect{Conn: 2, User: "alice", Device: "phone", Cursor: "c", Back: 1}},
			"1 deliveries shall come again"},
		"an attempt while another is under way": {[]event.Event{connect, send, send}, "has not said what became of the last attempt"},
		"an answer to nothing":                  {[]event.Event{connect, &event.Nack{Conn: 1, ID: "a"}}, `no send "a" without an answer`},
		"a second answer":                       {[]event.Event{connect, send, &event.Nack{Conn: 1, ID: "a"}, &event.Nack{Conn: 1, ID: "a"}}, "without an answer"},
		"a retry with other content":            {[]event.Event{connect, send, &event.Nack{Conn: 1, ID: "a"}, &other}, "was another one in line 2"},
		"a log that goes back":                  {[]event.Event{log, log}, "offset 5 comes after a higher one"},
		"a log that is not all there":           {[]event.Event{log, &event.LogEnd{Records: 2}}, "2 records were read, and 1 are in the file"},
	} {
		t.Run(name, func(t *testing.T) {
			var h history
			for _, e := range c.events {
				h = append(h, &event.Record{Event: e})
			}
			_, err := check.Run(h.all(), options())
			bad, ok := err.(*event.Error)
			if !ok || bad.Line != int64(len(h)) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in the last line", err, c.want)
			}
		})
	}
}

// Whatever a file says, there is a verdict or an error, and all evidence is in the file.
func TestNoHistoryIsTooStrange(t *testing.T) {
	errs, outcomes := 0, make(map[check.Outcome]int)
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 3))
		h := run(seed % 20)
		for range 1 + rng.IntN(8) {
			from, to := rng.IntN(len(h)), rng.IntN(len(h))
			moved := h[from]
			if rng.IntN(3) > 0 {
				h = slices.Delete(h, from, from+1)
			}
			if rng.IntN(3) > 0 {
				h = slices.Insert(h, min(to, len(h)), moved)
			}
		}
		r, err := check.Run(h.all(), options())
		if err != nil {
			errs++
			continue
		}
		outcomes[r.Outcome]++
		for _, f := range r.Findings {
			if (f.Verdict == check.Violated) != (f.Violations > 0) || f.Violations > 0 && len(f.Evidence) == 0 {
				t.Errorf("seed %d: %+v", seed, f)
			}
			for _, e := range f.Evidence {
				for _, line := range e.Lines {
					if line < 1 || line > int64(len(h)) {
						t.Errorf("seed %d: %s: there is no line %d", seed, f.Check, line)
					}
				}
			}
		}
	}
	if errs == 0 || outcomes[check.Failed] == 0 || outcomes[check.Passed] == 0 {
		t.Errorf("%d errors, outcomes %v: these are not all kinds", errs, outcomes)
	}
}
