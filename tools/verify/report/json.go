package report

import (
	"encoding/json"
	"time"

	"github.com/godwit-im/godwit/tools/verify/check"
	"github.com/godwit-im/godwit/tools/verify/event"
)

// Format is the version of the report in JSON. docs/verify.md describes it: members are added
// within a version, and keep their names and meanings.
const Format = 1

// MarshalJSON returns the report in JSON, as docs/verify.md describes it.
func (r *Report) MarshalJSON() ([]byte, error) {
	d := jsonReport{
		Format: Format, Outcome: r.Outcome, Verdict: r.Verdict(), Notes: some(r.Notes),
		Versions: r.Versions, Settings: some(r.Settings), Files: some(r.Files), Checks: []jsonCheck{},
	}
	if r.Check != nil {
		d.Stats = &r.Check.Stats
		for _, f := range r.Check.Findings {
			d.Checks = append(d.Checks, r.jsonCheck(f))
		}
	}
	if r.Story != nil {
		d.jsonStory = newJSONStory(r.Story)
	}
	return json.Marshal(d)
}

// some returns a list that is not null in JSON.
func some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

type jsonReport struct {
	Format   int           `json:"format"`
	Outcome  check.Outcome `json:"outcome"`
	Verdict  string        `json:"verdict"`
	Notes    []string      `json:"notes"`
	Versions Versions      `json:"versions"`
	Settings []Setting     `json:"settings"`
	Files    []File        `json:"files"`
	Checks   []jsonCheck   `json:"checks"`
	Stats    *check.Stats  `json:"stats,omitempty"`
	*jsonStory
}

type jsonCheck struct {
	Check      string         `json:"check"`
	Promise    string         `json:"promise"`
	Verdict    check.Verdict  `json:"verdict"`
	Tested     int64          `json:"tested"`
	Violations int64          `json:"violations"`
	Note       string         `json:"note,omitempty"`
	Evidence   []jsonEvidence `json:"evidence,omitempty"`
}

type jsonEvidence struct {
	What      string           `json:"what"`
	MessageID *event.MessageID `json:"message_id,omitempty"`
	Lines     []jsonLine       `json:"lines"`
}

type jsonLine struct {
	Line int64  `json:"line"`
	Text string `json:"text,omitempty"`
}

func (r *Report) jsonCheck(f check.Finding) jsonCheck {
	c := jsonCheck{Check: f.Check, Promise: f.Promise, Verdict: f.Verdict, Tested: f.Tested, Violations: f.Violations, Note: f.Note}
	for _, e := range f.Evidence {
		shown := jsonEvidence{What: e.What, MessageID: e.MessageID, Lines: []jsonLine{}}
		for _, n := range e.Lines {
			shown.Lines = append(shown.Lines, jsonLine{Line: n, Text: r.Quotes[n]})
		}
		c.Evidence = append(c.Evidence, shown)
	}
	return c
}

type jsonStory struct {
	Command  string      `json:"command"`
	Seed     uint64      `json:"seed,string"`
	Start    string      `json:"start"`
	Duration seconds     `json:"duration_s"`
	Totals   jsonTotals  `json:"totals"`
	Phases   []jsonPhase `json:"phases"`
	Faults   []jsonFault `json:"faults"`
	Length   seconds     `json:"step_s"`
	Steps    []jsonStep  `json:"steps"`
}

type jsonTotals struct {
	Events      int64 `json:"events"`
	Users       int64 `json:"users"`
	Devices     int64 `json:"devices"`
	Connections int64 `json:"connections"`
	Refused     int64 `json:"refused"`
	Moved       int64 `json:"moved"`
	jsonAttempts
	Deliveries int64       `json:"deliveries"`
	Gaps       int64       `json:"gaps"`
	Gone       int64       `json:"gone"`
	Pages      int64       `json:"pages"`
	Violations int64       `json:"violations"`
	Records    int64       `json:"records"`
	Unseen     int64       `json:"unseen"`
	Ack        jsonLatency `json:"ack"`
	Deliver    jsonLatency `json:"deliver"`
}

type jsonAttempts struct {
	Sends        int64    `json:"sends"`
	Stored       int64    `json:"stored"`
	Rejected     int64    `json:"rejected"`
	Invalid      int64    `json:"invalid"`
	Unknown      int64    `json:"unknown"`
	Availability *float64 `json:"availability,omitempty"`
}

type jsonLatency struct {
	Count int64        `json:"count"`
	P50   milliseconds `json:"p50_ms"`
	P99   milliseconds `json:"p99_ms"`
	Max   milliseconds `json:"max_ms"`
}

type jsonPhase struct {
	Name  event.PhaseName `json:"name"`
	Begin seconds         `json:"begin_s"`
	End   seconds         `json:"end_s"`
	jsonAttempts
	Ack     jsonLatency `json:"ack"`
	Deliver jsonLatency `json:"deliver"`
}

type jsonFault struct {
	N        int      `json:"n"`
	Kind     string   `json:"kind"`
	Target   string   `json:"target"`
	Begin    seconds  `json:"begin_s"`
	Hit      *seconds `json:"hit_s,omitempty"`
	End      *seconds `json:"end_s,omitempty"`
	Hits     int      `json:"hits"`
	Order    string   `json:"order,omitempty"`
	Evidence string   `json:"evidence,omitempty"`
	Undone   string   `json:"undone,omitempty"`
}

type jsonStep struct {
	Begin     seconds      `json:"begin_s"`
	Answers   jsonAnswers  `json:"answers"`
	Attempts  jsonAttempts `json:"attempts"`
	Refused   int64        `json:"refused"`
	Connected int64        `json:"connected"`
	Unseen    int64        `json:"unseen"`
	Ack       jsonLatency  `json:"ack"`
	Deliver   jsonLatency  `json:"deliver"`
}

type jsonAnswers struct {
	Stored   int64 `json:"stored"`
	Rejected int64 `json:"rejected"`
	Invalid  int64 `json:"invalid"`
	Unknown  int64 `json:"unknown"`
}

func newJSONStory(s *Story) *jsonStory {
	t := &s.Totals
	d := &jsonStory{
		Command: s.Run.Command, Seed: s.Run.Seed, Start: time.UnixMilli(s.Run.Start).UTC().Format(time.RFC3339Nano), Duration: seconds(s.End),
		Totals: jsonTotals{
			Events: t.Events, Users: t.Users, Devices: t.Devices, Connections: t.Connections, Refused: t.Refused, Moved: t.Moved,
			jsonAttempts: newJSONAttempts(t.Attempts), Deliveries: t.Deliveries, Gaps: t.Gaps, Gone: t.Gone, Pages: t.Pages,
			Violations: t.Violations, Records: t.Records, Unseen: t.Unseen, Ack: newJSONLatency(t.Ack), Deliver: newJSONLatency(t.Deliver),
		},
		Phases: make([]jsonPhase, len(s.Phases)), Faults: make([]jsonFault, len(s.Faults)),
		Length: seconds(s.Length), Steps: make([]jsonStep, len(s.Steps)),
	}
	for i, p := range s.Phases {
		d.Phases[i] = jsonPhase{
			Name: p.Name, Begin: seconds(p.Begin), End: seconds(p.End), jsonAttempts: newJSONAttempts(p.Attempts),
			Ack: newJSONLatency(p.Ack), Deliver: newJSONLatency(p.Deliver),
		}
	}
	for i, f := range s.Faults {
		d.Faults[i] = jsonFault{
			N: f.N, Kind: f.Kind, Target: f.Target, Begin: seconds(f.Begin), Hit: happened(f.Hit), End: happened(f.End), Hits: f.Hits,
			Order: f.Order, Evidence: f.Evidence, Undone: f.Undone,
		}
	}
	for i, b := range s.Steps {
		d.Steps[i] = jsonStep{
			Begin: seconds(b.Begin), Answers: jsonAnswers(b.Answers), Attempts: newJSONAttempts(b.Attempts), Refused: b.Refused,
			Connected: b.Connected, Unseen: b.Unseen, Ack: newJSONLatency(b.Ack), Deliver: newJSONLatency(b.Deliver),
		}
	}
	return d
}

func newJSONAttempts(a Attempts) jsonAttempts {
	d := jsonAttempts{Sends: a.Sends, Stored: a.Stored, Rejected: a.Rejected, Invalid: a.Invalid, Unknown: a.Unknown}
	if share, ok := a.Availability(); ok {
		d.Availability = &share
	}
	return d
}

func newJSONLatency(l Latency) jsonLatency {
	return jsonLatency{Count: l.Count, P50: milliseconds(l.P50), P99: milliseconds(l.P99), Max: milliseconds(l.Max)}
}

// happened returns nil for Never.
func happened(t time.Duration) *seconds {
	if t == Never {
		return nil
	}
	s := seconds(t)
	return &s
}

// seconds and milliseconds are numbers in JSON.
type (
	seconds      time.Duration
	milliseconds time.Duration
)

func (s seconds) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(s).Seconds()) }

func (m milliseconds) MarshalJSON() ([]byte, error) {
	return json.Marshal(float64(m) / float64(time.Millisecond))
}
