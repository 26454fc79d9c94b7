package wire

import (
	"encoding/hex"
	"net/url"
	"unicode/utf8"
)

// codes are those of acks, pages, errors and refusals.
var codes = set("bad_frame", "unknown_type", "unknown_field", "bad_id", "no_recipients", "too_many_recipients",
	"bad_recipient", "duplicate_recipient", "recipient_is_sender", "body_too_large", "bad_kind", "bad_encoding", "bad_ttl",
	"bad_limit", "bad_peer", "bad_cursor", "unknown_cursor", "no_history", "history_unavailable", "history_behind",
	"rate_limited", "overloaded", "too_large", "log_forbidden", "timeout", "unavailable", "shutting_down", "bad_parameter",
	"unauthorized", "forbidden", "policy", "frame_too_large", "slow", "token_expired", "moved", "not_owner", "not_ready",
	"degraded", "internal")

// gapRetention is the reason of a gap whose messages are gone for good.
const gapRetention = "retention"

// reasons are those of gaps.
var reasons = set("outbox_full", "outbox_bytes", "node_memory", gapRetention)

func set(members ...string) map[string]bool {
	m := make(map[string]bool, len(members))
	for _, member := range members {
		m[member] = true
	}
	return m
}

// checkFields checks what a frame tells by itself: whether each field that it needs
// is there, and has a value that such a field may have.
func checkFields(frame Frame, found *findings) {
	switch f := frame.(type) {
	case *Welcome:
		checkWelcome(f, found)
	case *Ack:
		checkAck(f, found)
	case *Deliver:
		if f.Seq == 0 {
			found.add(RuleField, "a deliver without a seq")
		}
		checkMessage("a deliver", &f.Message, found)
	case *Gap:
		if f.From == 0 || f.To < f.From {
			found.add(RuleField, "a gap from %d to %d", f.From, f.To)
		}
		if !reasons[f.Reason] {
			found.add(RuleField, "a gap with the unknown reason %q", f.Reason)
		}
		if f.Reason == gapRetention && f.From != f.To {
			found.add(RuleField, "a gap of what is gone has more than one number: %d to %d", f.From, f.To)
		}
		checkCursor("a gap's after", f.After, found)
		checkCursor("a gap's before", f.Before, found)
	case *Heartbeat:
		checkCursor("a heartbeat's", f.Cursor, found)
	case *Page:
		checkPage(f, found)
	case *Moved:
		if !isSocketURL(f.URL) {
			found.add(RuleField, "a moved to %q", f.URL)
		}
		if f.Node == "" || f.MapVersion == 0 {
			found.add(RuleField, "a moved without a node or a version: %q, %d", f.Node, f.MapVersion)
		}
	case *Error:
		checkCode("an error", f.Code, found)
	}
}

func checkWelcome(w *Welcome, found *findings) {
	if b, err := hex.DecodeString(w.Session); err != nil || len(b) != sessionDigits/2 {
		found.add(RuleField, "a welcome with the session %q", w.Session)
	}
	if w.Node == "" {
		found.add(RuleField, "a welcome without a node")
	}
	checkCursor("a welcome's", w.Cursor, found)
	l := w.Limits
	if l.BodyBytes == 0 || l.BodyBytes > maxBody || l.Recipients == 0 || l.Recipients > maxRecipients ||
		l.QueueMessages == 0 || l.QueueBytes == 0 || l.InFlight == 0 ||
		l.PageMessages == 0 || l.PageMessages > maxPage || l.StartMessages == 0 || l.StartMessages > maxStart {
		found.add(RuleField, "a welcome with limits that no server may have: %+v", l)
	}
	if w.HeartbeatMS == 0 {
		found.add(RuleField, "a welcome without heartbeat_ms")
	}
}

func checkAck(a *Ack, found *findings) {
	given := a.MessageID != MessageID{}
	switch a.Status {
	case Stored:
		if a.Code != "" || !given || a.Time == 0 {
			found.add(RuleField, "an ack of %q, stored, with code %q, message_id %v, time %d", a.ID, a.Code, a.MessageID, a.Time)
		}
	case Rejected:
		checkCode("an ack", a.Code, found)
		if a.Time != 0 {
			found.add(RuleField, "an ack of %q, rejected, with time %d", a.ID, a.Time)
		}
	case Unknown:
		checkCode("an ack", a.Code, found)
		if !given || a.Time != 0 {
			found.add(RuleField, "an ack of %q, unknown, with message_id %v, time %d", a.ID, a.MessageID, a.Time)
		}
	default:
		found.add(RuleField, "an ack of %q without a status", a.ID)
	}
}

func checkPage(p *Page, found *findings) {
	if p.Code != "" {
		checkCode("a history_page", p.Code, found)
		if len(p.Messages) > 0 || p.After != "" || p.Before != "" || p.MoreAfter || p.MoreBefore || p.Gone != "" {
			found.add(RuleField, "the history_page %q has a code and something else", p.ID)
		}
		return
	}
	checkCursor("a history_page's after", p.After, found)
	checkCursor("a history_page's before", p.Before, found)
	if p.Gone != "" {
		checkCursor("a history_page's gone", p.Gone, found)
	}
	for i := range p.Messages {
		m := &p.Messages[i]
		checkMessage("a history_page", m, found)
		if m.Kind == KindSignal {
			found.add(RuleField, "the history_page %q has a signal, %v", p.ID, m.MessageID)
		}
	}
}

func checkMessage(where string, m *Message, found *findings) {
	bad := func(what string, value any) {
		found.add(RuleField, "%s of message %v has %s: %v", where, m.MessageID, what, value)
	}
	checkCursor(where, m.Cursor, found)
	if (m.MessageID == MessageID{}) {
		found.add(RuleField, "%s without a message_id, at %s", where, m.Cursor)
	}
	if m.Time == 0 {
		bad("a time", m.Time)
	}
	if !validText(m.From, maxUser) {
		bad("a sender", m.From)
	}
	if !validText(m.ID, maxID) {
		bad("an id", m.ID)
	}
	if len(m.To) == 0 || len(m.To) > maxRecipients {
		bad("a number of recipients", len(m.To))
	}
	seen := make(map[string]bool, len(m.To))
	for _, to := range m.To {
		if !validText(to, maxUser) || seen[to] || to == m.From {
			bad("a recipient", to)
		}
		seen[to] = true
	}
	if len(m.Body) > maxBody {
		bad("a body of bytes", len(m.Body))
	}
	if m.TTL > maxTTL {
		bad("a ttl_ms", m.TTL)
	}
}

func validText(s string, limit int) bool {
	return s != "" && len(s) <= limit && utf8.ValidString(s)
}

func checkCursor(where, cursor string, found *findings) {
	if cursor == "" || len(cursor) > maxCursor {
		found.add(RuleField, "%s cursor has %d bytes: %.80q", where, len(cursor), cursor)
	}
}

func checkCode(where, code string, found *findings) {
	if !codes[code] {
		found.add(RuleField, "%s has the unknown code %q", where, code)
	}
}

// isSocketURL reports whether a client can connect to what it was told.
func isSocketURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "ws" || u.Scheme == "wss") && u.Host != "" && u.RawQuery == "" && u.Fragment == ""
}
