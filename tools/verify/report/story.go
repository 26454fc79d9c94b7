package report

import (
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
)

// Story is what a history says of a run as a whole. Times are since the run began.
type Story struct {
	Run    event.Run
	End    time.Duration // the time of the last event
	Length time.Duration // of a step
	Steps  []Step        // without a hole from 0 to End, at most 600
	Phases []Phase       // in their order
	Faults []Fault       // in the order in which they began
	Totals Totals
}

// Step is what happened in one step of the time.
type Step struct {
	Begin    time.Duration
	Answers  Answers  // that came in the step
	Attempts Attempts // that were begun in the step, whenever their answers came
	Refused  int64    // attempts to connect that were not welcomed

	// Ack is from a send to its ack; Deliver from the first send of a message to each delivery
	// to a device that was connected at that moment. Both belong to the step of the send.
	Ack, Deliver Latency

	Connected int64 // the least number of devices that were connected at any moment of the step
	Unseen    int64 // the most deliveries that were outstanding, as in Totals
}

// Answers counts the outcomes of attempts to send.
type Answers struct {
	Stored   int64
	Rejected int64 // may be accepted later
	Invalid  int64 // rejected for what they are, by a code such as body_too_large
	Unknown  int64
}

// Attempts counts attempts to send, and what became of them.
type Attempts struct {
	Sends int64
	Answers
}

// Availability returns the share of the attempts that were stored, from 0 to 1. Those that
// were invalid don't count. It reports whether there is any that does.
func (a Attempts) Availability() (share float64, ok bool) {
	valid := a.Sends - a.Invalid
	if valid <= 0 {
		return 0, false
	}
	return float64(a.Stored) / float64(valid), true
}

// Latency says how long something took. Quantiles are at most 7 % too high in a Step, and
// 1 % elsewhere; without a Count all is 0.
type Latency struct {
	Count         int64
	P50, P99, Max time.Duration
}

// Phase is a phase of the run.
type Phase struct {
	Name         event.PhaseName
	Begin, End   time.Duration
	Attempts     Attempts // begun in the phase
	Ack, Deliver Latency  // as in a Step
}

// Length returns how long the phase lasted.
func (p Phase) Length() time.Duration { return p.End - p.Begin }

// Fault is a fault that the run did to the cluster.
type Fault struct {
	N            int
	Kind, Target string
	Begin        time.Duration
	Hit          time.Duration // when it was first seen to have an effect; Never
	End          time.Duration // when it was undone; Never
	Hits         int           // how often it was seen to
	Order        string        // what was ordered, for people
	Evidence     string        // of the first hit
	Undone       string        // how it ended
}

// Never is the time of what did not happen.
const Never = time.Duration(-1)

// Totals counts a whole run.
type Totals struct {
	Events      int64
	Users       int64 // that were connected
	Devices     int64
	Connections int64
	Refused     int64
	Moved       int64
	Attempts    Attempts
	Deliveries  int64
	Gaps        int64
	Gone        int64
	Pages       int64
	Violations  int64
	Records     int64 // of the log

	// Unseen is how many deliveries were outstanding at the end: for each device and
	// acknowledged message, neither a signal nor with a ttl, that was sent since the device's
	// view of its timeline began and neither came to it nor is on a page that it got.
	Unseen       int64
	Ack, Deliver Latency
}
