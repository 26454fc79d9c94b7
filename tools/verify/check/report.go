package check

import (
	"fmt"

	"github.com/godwit-im/godwit/tools/verify/event"
)

// Verdict is what a check says of its promise.
type Verdict string

// The verdicts of a check.
const (
	OK        Verdict = "ok"
	Violated  Verdict = "violated"
	NotTested Verdict = "not_tested" // the history does not have what it takes to tell
)

// Outcome is what all checks together say of a run.
type Outcome string

// The outcomes of a run.
const (
	Passed  Outcome = "passed"
	Failed  Outcome = "failed"  // a promise was broken
	Unknown Outcome = "unknown" // none was seen broken, and a check that counts could not be made
)

// Report is what there is to say of a history.
type Report struct {
	Outcome  Outcome   `json:"outcome"`
	Findings []Finding `json:"findings"` // one a check, always in the same order
	Stats    Stats     `json:"stats"`
}

// Finding is the result of one check.
type Finding struct {
	Check      string     `json:"check"`   // its name, which does not change
	Promise    string     `json:"promise"` // what is checked, a sentence
	Verdict    Verdict    `json:"verdict"`
	Tested     int64      `json:"tested"` // how often the promise could have been broken
	Violations int64      `json:"violations"`
	Evidence   []Evidence `json:"evidence,omitempty"` // of the first violations
	Note       string     `json:"note,omitempty"`     // what else is to be known, such as why it was not tested
}

// Evidence shows one violation.
type Evidence struct {
	What      string           `json:"what"`
	MessageID *event.MessageID `json:"message_id,omitempty"`
	Lines     []int64          `json:"lines"` // of the file
}

// Stats says how much a history holds.
type Stats struct {
	Events      int64 `json:"events"`
	Users       int64 `json:"users"`
	Devices     int64 `json:"devices"`
	Connections int64 `json:"connections"`
	Sends       int64 `json:"sends"`    // attempts
	Messages    int64 `json:"messages"` // that were sent, signals among them
	Acked       int64 `json:"acked"`
	Unknown     int64 `json:"unknown"`  // not acked, and an attempt has an unknown outcome
	Rejected    int64 `json:"rejected"` // every attempt was
	Deliveries  int64 `json:"deliveries"`
	Pages       int64 `json:"pages"`
	Gaps        int64 `json:"gaps"`
	Records     int64 `json:"records"` // of the log
}

// maxEvidence is how many violations of a check are shown; all are counted.
const maxEvidence = 10

// violated notes a violation. A message of none means that it is about no single one.
// Lines of 0 are left out.
func (f *Finding) violated(x *index, msg uint32, lines []uint32, format string, args ...any) {
	f.Violations++
	if len(f.Evidence) == maxEvidence {
		return
	}
	e := Evidence{What: fmt.Sprintf(format, args...)}
	if msg != none {
		id := x.messages.at(msg).id
		e.MessageID = &id
	}
	for _, line := range lines {
		if line != 0 {
			e.Lines = append(e.Lines, int64(line))
		}
	}
	f.Evidence = append(f.Evidence, e)
}

// settled gives the verdict that follows from the counts.
func (f *Finding) settled() {
	switch {
	case f.Violations > 0:
		f.Verdict = Violated
	case f.Tested == 0:
		f.Verdict = NotTested
	default:
		f.Verdict = OK
	}
}

// untested makes a check count as not made, if it found nothing wrong.
func (f *Finding) untested(format string, args ...any) {
	f.Note = fmt.Sprintf(format, args...)
	if f.Verdict != Violated {
		f.Verdict = NotTested
	}
}
