package wire

import "fmt"

// Rule is a part of the protocol that a server can break.
type Rule string

// The rules. Their names are stable: they are in history files.
const (
	RuleHandshake Rule = "handshake" // the answer to the request for an upgrade
	RuleSocket    Rule = "websocket" // RFC 6455: framing, masking, fragments, UTF-8, size
	RuleEncoding  Rule = "encoding"  // JSON or protobuf, names and types of fields
	RuleField     Rule = "field"     // values that a field may have
	RuleWelcome   Rule = "welcome"   // the first frame, once, as asked for
	RuleSequence  Rule = "sequence"  // numbers of deliveries, gaps, heartbeats
	RuleUser      Rule = "user"      // messages are sent by the user or to the user
	RuleAck       Rule = "ack"       // acks answer sends
	RulePage      Rule = "page"      // pages answer requests
	RulePong      Rule = "pong"      // pongs answer pings
	RuleMoved     Rule = "moved"     // where and when clients are sent on
	RuleClose     Rule = "close"     // how connections end
)

// Violation is something that a server sent and the protocol does not allow. It is
// among the frames of a connection, after the frame that broke the rule if that could
// be decoded. As an error of Dial it means that no connection came about.
type Violation struct {
	Rule   Rule
	Detail string // a sentence for people
}

func (v *Violation) Error() string {
	return fmt.Sprintf("wire: the server broke a rule (%s): %s", v.Rule, v.Detail)
}

// what is the violation as history files have it.
func (v *Violation) what() string { return string(v.Rule) + ": " + v.Detail }

// findings collects violations.
type findings []*Violation

func (f *findings) add(rule Rule, format string, args ...any) {
	*f = append(*f, violation(rule, format, args...))
}

func violation(rule Rule, format string, args ...any) *Violation {
	return &Violation{rule, fmt.Sprintf(format, args...)}
}
