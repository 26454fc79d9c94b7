package check

import (
	"iter"
	"slices"
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
)

// Options say what a history has to hold for its checks to mean something.
type Options struct {
	// MinAcks and MinFaults are how many acknowledged messages and how many faults that
	// have hit a run needs to be more than unknown.
	MinAcks   int64
	MinFaults int
	// Converge is how long after healing, or after its ack if that is later, a message may
	// still be on its way to a device that is connected.
	Converge time.Duration
	// Without names checks that this run cannot make, because the cluster is not its own: they
	// are reported, and do not make the outcome unknown.
	Without []string
}

// DefaultOptions returns what `godwit verify` asks of a run on a cluster of its own.
func DefaultOptions() Options {
	return Options{MinAcks: 1000, MinFaults: 1, Converge: time.Minute}
}

// check is a check in the making. Its methods are called in this order: event for each
// event, user for each user, end once.
type check interface {
	event(x *index, f *fact)
	user(x *index, v *timeline)
	end(x *index)
	finding() *Finding
}

// base is a check that looks at nothing. Checks embed it, and override what they need.
type base struct{ Finding }

func (*base) event(*index, *fact)    {}
func (*base) user(*index, *timeline) {}
func (b *base) end(*index)           { b.settled() }
func (b *base) finding() *Finding    { return &b.Finding }

func promise(name, sentence string) base { return base{Finding{Check: name, Promise: sentence}} }

// checks returns all checks, in the order of reports.
func checks(o Options) []check {
	return []check{
		newEnough(o),
		newStoredInLog(), newStoredInHistory(), newStoredOnDevices(),
		newNoDuplicates(), newUnknownAtMostOnce(), newSignalsAtMostOnce(), newRejectedNowhere(),
		newNothingInvented(), newNobodyElses(), newOrder(), newSequence(), newProtocol(),
		newConverges(o.Converge), newConservation(),
	}
}

// happenstance are the checks of what a run may well not have: no attempt was
// rejected, say. Then they are not tested, and the run is none the worse.
var happenstance = []string{"unknown_at_most_once", "signals_at_most_once", "rejected_nowhere"}

// Run reads a history and makes all checks. The error is that of events, or an *event.Error
// that says why the history cannot be right whatever the server did: then nothing can be
// said of the server.
func Run(events iter.Seq2[event.Record, error], o Options) (*Report, error) {
	x := newIndex()
	all := checks(o)
	for rec, err := range events {
		if err != nil {
			return nil, err
		}
		f, err := x.add(rec)
		if err != nil {
			return nil, &event.Error{Line: rec.Line, Err: err}
		}
		for _, c := range all {
			c.event(x, &f)
		}
	}
	x.settle()
	marks, places := make([]uint32, x.messages.n), make([]uint32, x.messages.n)
	for _, u := range x.sorted() {
		v := newTimeline(x, u, marks, places)
		for _, c := range all {
			c.user(x, v)
		}
		v.clear()
	}
	report := &Report{Outcome: Passed, Stats: x.stats}
	for _, c := range all {
		c.end(x)
		f := c.finding()
		report.Findings = append(report.Findings, *f)
		switch {
		case f.Verdict == Violated:
			report.Outcome = Failed
		case f.Verdict == NotTested && report.Outcome == Passed &&
			!slices.Contains(happenstance, f.Check) && !slices.Contains(o.Without, f.Check):
			report.Outcome = Unknown
		}
	}
	return report, nil
}
