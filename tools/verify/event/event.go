package event

import "time"

// Format is the version of the file's format. A reader refuses another.
const Format = 1

// Event is one of the types of this package: Run, Phase, Fault, Connect, Refused,
// Close, Moved, Violation, Send, Ack, Nack, Unknown, Deliver, Gap, Gone, Heartbeat,
// Page, Log, LogEnd, Counter.
type Event interface {
	// Type returns the event's name in the file.
	Type() string

	// validate says what is missing for the event to mean anything.
	validate() error
}

// Record is an event with what is known of every event.
type Record struct {
	Line  int64         // in the file, from 1; only readers set it
	T     time.Duration // since the run began, by a clock that never goes back
	By    string        // who saw it, for people: a device, the nemesis, a reader
	Event Event
}

// Run says what the file is about. It is the first event.
type Run struct {
	Format  int    `json:"format"`
	Seed    uint64 `json:"seed,string"`
	Command string `json:"command"` // repeats the run
	Start   int64  `json:"start"`   // when T was 0, in Unix milliseconds
}

// Phase says that a phase of the run begins.
type Phase struct {
	Name PhaseName `json:"name"`
}

// PhaseName names a phase.
type PhaseName string

// The phases of a run, in order.
const (
	Warmup    PhaseName = "warmup"    // load, and a whole cluster
	Faults    PhaseName = "faults"    // load, and faults
	Heal      PhaseName = "heal"      // no fault lasts; slow and stopped devices read again
	Reconnect PhaseName = "reconnect" // who is not connected connects
	Drain     PhaseName = "drain"     // no new sends
	Read      PhaseName = "read"      // devices have what they will have; history and log are read
)

// Fault is a step of one fault that the run does to the cluster.
type Fault struct {
	N      int        `json:"n"` // the same for all steps of one fault
	Kind   string     `json:"kind"`
	Target string     `json:"target"`
	Phase  FaultPhase `json:"phase"`
	Detail string     `json:"detail,omitempty"`
}

// FaultPhase is a step of a fault.
type FaultPhase string

// The steps of a fault.
const (
	Begin FaultPhase = "begin" // it was ordered
	Hit   FaultPhase = "hit"   // it was seen to have an effect
	End   FaultPhase = "end"   // it was undone
)

// Counter is the value of a node's metric.
type Counter struct {
	Node  string  `json:"node"`
	Name  string  `json:"name"` // with its labels, as Prometheus writes them
	Value float64 `json:"value"`
}

// The names of the events in the file.
func (*Run) Type() string       { return "run" }
func (*Phase) Type() string     { return "phase" }
func (*Fault) Type() string     { return "fault" }
func (*Connect) Type() string   { return "connect" }
func (*Refused) Type() string   { return "refused" }
func (*Close) Type() string     { return "close" }
func (*Moved) Type() string     { return "moved" }
func (*Violation) Type() string { return "violation" }
func (*Send) Type() string      { return "send" }
func (*Ack) Type() string       { return "ack" }
func (*Nack) Type() string      { return "nack" }
func (*Unknown) Type() string   { return "unknown" }
func (*Deliver) Type() string   { return "deliver" }
func (*Gap) Type() string       { return "gap" }
func (*Gone) Type() string      { return "gone" }
func (*Heartbeat) Type() string { return "heartbeat" }
func (*Page) Type() string      { return "page" }
func (*Log) Type() string       { return "log" }
func (*LogEnd) Type() string    { return "log_end" }
func (*Counter) Type() string   { return "counter" }

// blank returns an empty event of a type, nil if there is none of that name.
func blank(name string) Event {
	switch name {
	case "run":
		return new(Run)
	case "phase":
		return new(Phase)
	case "fault":
		return new(Fault)
	case "connect":
		return new(Connect)
	case "refused":
		return new(Refused)
	case "close":
		return new(Close)
	case "moved":
		return new(Moved)
	case "violation":
		return new(Violation)
	case "send":
		return new(Send)
	case "ack":
		return new(Ack)
	case "nack":
		return new(Nack)
	case "unknown":
		return new(Unknown)
	case "deliver":
		return new(Deliver)
	case "gap":
		return new(Gap)
	case "gone":
		return new(Gone)
	case "heartbeat":
		return new(Heartbeat)
	case "page":
		return new(Page)
	case "log":
		return new(Log)
	case "log_end":
		return new(LogEnd)
	case "counter":
		return new(Counter)
	}
	return nil
}
