package wire

import (
	"fmt"
	"strings"
	"testing"
)

var welcome = Welcome{
	Session: "00c0ffee00000001", User: "alice", Node: "node-1", MapVersion: 7, Cursor: "c0", HeartbeatMS: 60000,
	Limits: Limits{BodyBytes: 65536, Recipients: 64, QueueMessages: 256, QueueBytes: 1 << 20, InFlight: 256, SendsPerSecond: 100,
		PageMessages: 100, StartMessages: 1000},
}

var (
	theSend  = Send{ID: "m1", To: []string{"bob"}, Body: []byte("hi")}
	theID    = NewMessageID("alice", "phone", &theSend)
	stored   = Ack{ID: "m1", Status: Stored, MessageID: theID, Time: 5}
	rejected = Ack{ID: "m1", Status: Rejected, Code: "not_owner"}
	fromBob  = Message{Cursor: "c1", Time: 5, MessageID: MessageID{1}, From: "bob", To: []string{"alice"}, ID: "b1", Kind: KindMessage}
	fromSelf = Message{Self: true, Cursor: "c2", Time: 5, MessageID: theID, From: "alice", To: []string{"bob"}, ID: "m1", Kind: KindMessage}
	toMove   = Moved{URL: "ws://node-2.example/v1/connect", Node: "node-2", MapVersion: 8}
)

// change returns a copy of a value that was changed.
func change[T any](v T, how func(*T)) *T {
	how(&v)
	return &v
}

func delivery(seq uint64) *Deliver {
	m := fromBob
	m.Cursor = fmt.Sprint("c", seq)
	return &Deliver{seq, m}
}

func page(how func(*Page)) *Page {
	return change(Page{ID: "h1", After: "c9", Before: "c1", Messages: []Message{fromBob, fromSelf}}, how)
}

// TestRules shows steps of connections, of which the last one may break a rule. A Send,
// a History and a ping are the client's.
func TestRules(t *testing.T) {
	gap := Gap{From: 1, To: 4, Reason: "outbox_full", After: "c0", Before: "c9"}
	gone := Gap{From: 1, To: 1, Reason: gapRetention, After: "c0", Before: "c9"}
	query := &History{ID: "h1", Limit: 2}
	inGaps := Options{Overflow: "gap"}
	from := Options{Cursor: "c0"}
	for name, test := range map[string]struct {
		options Options
		steps   []any
		broken  Rule // empty for none
	}{
		"deliveries":              {steps: []any{delivery(1), delivery(2), delivery(3)}},
		"first number":            {steps: []any{delivery(2)}, broken: RuleSequence},
		"number left out":         {steps: []any{delivery(1), delivery(3)}, broken: RuleSequence},
		"number twice":            {steps: []any{delivery(1), delivery(1)}, broken: RuleSequence},
		"cursor twice":            {steps: []any{delivery(1), change(*delivery(2), func(d *Deliver) { d.Cursor = "c1" })}, broken: RuleSequence},
		"number 0":                {steps: []any{delivery(0)}, broken: RuleField},
		"another's":               {steps: []any{change(*delivery(1), func(d *Deliver) { d.To = []string{"carol"} })}, broken: RuleUser},
		"self of another":         {steps: []any{change(*delivery(1), func(d *Deliver) { d.Self = true })}, broken: RuleUser},
		"own without self":        {steps: []any{&Deliver{1, *change(fromSelf, func(m *Message) { m.Self = false })}}, broken: RuleUser},
		"own":                     {steps: []any{&Deliver{1, fromSelf}}},
		"no cursor":               {steps: []any{change(*delivery(1), func(d *Deliver) { d.Cursor = "" })}, broken: RuleField},
		"long cursor":             {steps: []any{change(*delivery(1), func(d *Deliver) { d.Cursor = strings.Repeat("c", 65) })}, broken: RuleField},
		"no message_id":           {steps: []any{change(*delivery(1), func(d *Deliver) { d.MessageID = MessageID{} })}, broken: RuleField},
		"no time":                 {steps: []any{change(*delivery(1), func(d *Deliver) { d.Time = 0 })}, broken: RuleField},
		"no id":                   {steps: []any{change(*delivery(1), func(d *Deliver) { d.ID = "" })}, broken: RuleField},
		"recipient twice":         {steps: []any{change(*delivery(1), func(d *Deliver) { d.To = []string{"alice", "alice"} })}, broken: RuleField},
		"to the sender":           {steps: []any{change(*delivery(1), func(d *Deliver) { d.To = []string{"alice", "bob"} })}, broken: RuleField},
		"65 recipients":           {steps: []any{change(*delivery(1), func(d *Deliver) { d.To = many(65) })}, broken: RuleField},
		"64 recipients":           {steps: []any{change(*delivery(1), func(d *Deliver) { d.To = many(64) })}},
		"large body":              {steps: []any{change(*delivery(1), func(d *Deliver) { d.Body = make([]byte, maxBody+1) })}, broken: RuleField},
		"ttl of more than a year": {steps: []any{change(*delivery(1), func(d *Deliver) { d.TTL = maxTTL + 1 })}, broken: RuleField},

		"gap":                         {options: inGaps, steps: []any{delivery(1), change(gap, func(g *Gap) { g.From = 2 }), delivery(5)}},
		"gap of the past":             {options: inGaps, steps: []any{delivery(1), &gap}, broken: RuleSequence},
		"gap of the future":           {options: inGaps, steps: []any{change(gap, func(g *Gap) { g.From = 2 })}, broken: RuleSequence},
		"number of a gap":             {options: inGaps, steps: []any{&gap, delivery(4)}, broken: RuleSequence},
		"gap backwards":               {options: inGaps, steps: []any{change(gap, func(g *Gap) { g.To = 0 })}, broken: RuleField},
		"gap without a bound":         {options: inGaps, steps: []any{change(gap, func(g *Gap) { g.Before = "" })}, broken: RuleField},
		"gap for no reason":           {options: inGaps, steps: []any{change(gap, func(g *Gap) { g.Reason = "bad luck" })}, broken: RuleField},
		"gap for auto":                {steps: []any{&gap}, broken: RuleSequence},
		"gone":                        {steps: []any{&gone, delivery(2)}},
		"gone of several":             {steps: []any{change(gone, func(g *Gap) { g.To = 2 })}, broken: RuleField},
		"not resumed":                 {options: from, steps: []any{&gone, delivery(2)}},
		"not resumed, and not told":   {options: from, steps: []any{delivery(1)}, broken: RuleSequence},
		"heartbeat":                   {steps: []any{delivery(1), &Heartbeat{1, "c1"}, delivery(2)}},
		"heartbeat behind":            {options: inGaps, steps: []any{delivery(1), &Heartbeat{0, "c1"}}, broken: RuleSequence},
		"heartbeat ahead":             {steps: []any{delivery(1), &Heartbeat{2, "c1"}}, broken: RuleSequence},
		"heartbeat ahead of a gap":    {options: inGaps, steps: []any{&Heartbeat{4, "c1"}, &gap, delivery(5)}},
		"heartbeat ahead of delivery": {options: inGaps, steps: []any{&Heartbeat{4, "c1"}, delivery(1)}, broken: RuleSequence},
		"heartbeat without a cursor":  {steps: []any{&Heartbeat{}}, broken: RuleField},

		"ack":                   {steps: []any{&theSend, &stored}},
		"ack of nothing":        {steps: []any{&stored}, broken: RuleAck},
		"ack twice":             {steps: []any{&theSend, &stored, &stored}, broken: RuleAck},
		"acks of two attempts":  {steps: []any{&theSend, &theSend, &rejected, &stored}},
		"ack of another id":     {steps: []any{&theSend, change(stored, func(a *Ack) { a.MessageID[0]++ })}, broken: RuleAck},
		"ack without status":    {steps: []any{&theSend, change(stored, func(a *Ack) { a.Status = "" })}, broken: RuleField},
		"stored with a code":    {steps: []any{&theSend, change(stored, func(a *Ack) { a.Code = "timeout" })}, broken: RuleField},
		"stored at no time":     {steps: []any{&theSend, change(stored, func(a *Ack) { a.Time = 0 })}, broken: RuleField},
		"stored as nothing":     {steps: []any{&theSend, change(stored, func(a *Ack) { a.MessageID = MessageID{} })}, broken: RuleField},
		"rejected for nothing":  {steps: []any{&theSend, change(rejected, func(a *Ack) { a.Code = "" })}, broken: RuleField},
		"rejected at a time":    {steps: []any{&theSend, change(rejected, func(a *Ack) { a.Time = 1 })}, broken: RuleField},
		"unknown":               {steps: []any{&theSend, &Ack{ID: "m1", Status: Unknown, Code: "timeout", MessageID: theID}}},
		"unknown of nothing":    {steps: []any{&theSend, &Ack{ID: "m1", Status: Unknown, Code: "timeout"}}, broken: RuleField},
		"unknown for no reason": {steps: []any{&theSend, &Ack{ID: "m1", Status: Unknown, Code: "none", MessageID: theID}}, broken: RuleField},

		"pong":            {steps: []any{ping{}, &Pong{}}},
		"pong of nothing": {steps: []any{ping{}, &Pong{}, &Pong{}}, broken: RulePong},
		"welcome twice":   {steps: []any{&welcome}, broken: RuleWelcome},
		"error":           {steps: []any{&Error{Code: "degraded"}}},
		"error of others": {steps: []any{&Error{Code: "bad_luck"}}, broken: RuleField},

		"page":                        {steps: []any{query, page(func(*Page) {})}},
		"page refused":                {steps: []any{query, &Page{ID: "h1", Code: "history_behind"}}},
		"page refused and full":       {steps: []any{query, page(func(p *Page) { p.Code = "history_behind" })}, broken: RuleField},
		"page of nothing":             {steps: []any{page(func(*Page) {})}, broken: RulePage},
		"page twice":                  {steps: []any{query, page(func(*Page) {}), page(func(*Page) {})}, broken: RulePage},
		"page of too many":            {steps: []any{&History{ID: "h1", Limit: 1}, page(func(*Page) {})}, broken: RulePage},
		"page of 51":                  {steps: []any{&History{ID: "h1"}, page(func(p *Page) { p.Messages = make51() })}, broken: RulePage},
		"page without a bound":        {steps: []any{query, page(func(p *Page) { p.After = "" })}, broken: RuleField},
		"page of a peer":              {steps: []any{&History{ID: "h1", Peer: "bob"}, page(func(*Page) {})}},
		"page of others":              {steps: []any{&History{ID: "h1", Peer: "carol"}, page(func(*Page) {})}, broken: RulePage},
		"page with its bound":         {steps: []any{&History{ID: "h1", After: "c1"}, page(func(*Page) {})}, broken: RulePage},
		"page of another's":           {steps: []any{query, page(func(p *Page) { p.Messages[0].To = []string{"carol"} })}, broken: RuleUser},
		"page with a signal":          {steps: []any{query, page(func(p *Page) { p.Messages[0].Kind = KindSignal })}, broken: RuleField},
		"page that goes on":           {steps: []any{&History{ID: "h1"}, page(sized(1, maxBody, maxBody))}, broken: RulePage},
		"page that went too far back": {steps: []any{&History{ID: "h1", Before: "c9"}, page(sized(1, maxBody, maxBody))}, broken: RulePage},
		"page that ends in time":      {steps: []any{&History{ID: "h1", After: "c0"}, page(sized(maxBody, maxBody-1, maxBody))}},
		"page back that ends in time": {steps: []any{&History{ID: "h1"}, page(sized(maxBody, maxBody-1, maxBody))}},
		"page that ends too late":     {steps: []any{&History{ID: "h1", After: "c0"}, page(sized(maxBody, maxBody, 1))}, broken: RulePage},
		"page around":                 {steps: []any{&History{ID: "h1", Around: "d1"}, page(sized(maxBody, 1, maxBody, maxBody-2, maxBody))}},
		"page too wide":               {steps: []any{&History{ID: "h1", Around: "d1"}, page(sized(1, maxBody, maxBody, 1))}, broken: RulePage},

		"moved":                 {steps: []any{&theSend, &toMove, &stored}},
		"moved back":            {steps: []any{change(toMove, func(m *Moved) { m.MapVersion = 6 })}, broken: RuleMoved},
		"moved to no URL":       {steps: []any{change(toMove, func(m *Moved) { m.URL = "https://node" })}, broken: RuleField},
		"moved to no node":      {steps: []any{change(toMove, func(m *Moved) { m.Node = "" })}, broken: RuleField},
		"rejected after moved":  {steps: []any{&toMove, &theSend, &rejected}},
		"stored after moved":    {steps: []any{&toMove, &theSend, &stored}, broken: RuleMoved},
		"closed":                {steps: []any{1012}},
		"closed as moved":       {steps: []any{&toMove, 4200}},
		"closed, not moved":     {steps: []any{4200}, broken: RuleClose},
		"closed as never":       {steps: []any{4300}, broken: RuleClose},
		"closed without a code": {steps: []any{closeNoCode}, broken: RuleClose},
		"closed by the client":  {steps: []any{1000}, broken: RuleClose},
	} {
		t.Run(name, func(t *testing.T) {
			o := test.options
			o.User, o.Device = "alice", "phone"
			var found findings
			r := newRules(&o, &welcome, &found)
			for i, step := range test.steps {
				if len(found) > 0 {
					t.Fatalf("before step %d: %v", i, found)
				}
				switch s := step.(type) {
				case *Send:
					r.sent(s, NewMessageID("alice", "phone", s))
				case *History:
					r.asked(s)
				case ping:
					r.pings++
				case int:
					r.closed(s, 0, &found)
				case Frame:
					checkFields(s, &found)
					r.received(s, &found)
				}
			}
			var rules []Rule
			for _, v := range found {
				rules = append(rules, v.Rule)
			}
			if test.broken == "" && len(found) > 0 {
				t.Errorf("found %v", found)
			}
			if test.broken != "" && (len(rules) == 0 || rules[0] != test.broken) {
				t.Errorf("found %v, not %s", found, test.broken)
			}
		})
	}
}

func many(n int) (to []string) {
	for i := range n - 1 {
		to = append(to, fmt.Sprint("user-", i))
	}
	return append(to, "alice")
}

func make51() (all []Message) {
	for i := range 51 {
		all = append(all, *change(fromBob, func(m *Message) { m.Cursor = fmt.Sprint("d", i) }))
	}
	return all
}

// sized makes a page of messages with bodies of some bytes.
func sized(bodies ...int) func(*Page) {
	return func(p *Page) {
		p.Messages = nil
		for i, n := range bodies {
			p.Messages = append(p.Messages, *change(fromBob, func(m *Message) { m.Cursor, m.Body = fmt.Sprint("e", i), make([]byte, n) }))
		}
	}
}

func TestWelcomeRules(t *testing.T) {
	asked := Options{User: "alice"}
	for name, test := range map[string]struct {
		options Options
		welcome *Welcome
		broken  Rule // empty for none
	}{
		"good":                 {asked, &welcome, ""},
		"resumed":              {Options{User: "alice", Cursor: "c0"}, change(welcome, func(w *Welcome) { w.Resumed = true }), ""},
		"resumed from nothing": {asked, change(welcome, func(w *Welcome) { w.Resumed = true }), RuleWelcome},
		"other cursor":         {Options{User: "alice", Cursor: "c7"}, &welcome, RuleWelcome},
		"other user":           {Options{User: "bob"}, &welcome, RuleWelcome},
		"older map":            {Options{User: "alice", MapVersion: 8}, &welcome, RuleWelcome},
		"same map":             {Options{User: "alice", MapVersion: 7}, &welcome, ""},
		"odd session":          {asked, change(welcome, func(w *Welcome) { w.Session = "00c0ffee0000000" }), RuleField},
		"no node":              {asked, change(welcome, func(w *Welcome) { w.Node = "" }), RuleField},
		"no cursor":            {asked, change(welcome, func(w *Welcome) { w.Cursor = "" }), RuleField},
		"no heartbeat":         {asked, change(welcome, func(w *Welcome) { w.HeartbeatMS = 0 }), RuleField},
		"limit too high":       {asked, change(welcome, func(w *Welcome) { w.Limits.BodyBytes++ }), RuleField},
		"no limit":             {asked, change(welcome, func(w *Welcome) { w.Limits.InFlight = 0 }), RuleField},
		"no limit of sends":    {asked, change(welcome, func(w *Welcome) { w.Limits.SendsPerSecond = 0 }), ""},
	} {
		var found findings
		checkFields(test.welcome, &found)
		newRules(&test.options, test.welcome, &found)
		if test.broken == "" && len(found) > 0 || test.broken != "" && (len(found) == 0 || found[0].Rule != test.broken) {
			t.Errorf("%s: found %v, want %q", name, found, test.broken)
		}
	}
}
