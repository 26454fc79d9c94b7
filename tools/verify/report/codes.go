package report

// invalidCodes are those of a rejection that is about the send itself: it was not allowed,
// and no server would take it. They are from the table of codes in docs/protocol.md. A run
// sends such on purpose, so they say nothing of how available the cluster is.
var invalidCodes = map[string]bool{
	"bad_frame":           true,
	"unknown_type":        true,
	"unknown_field":       true,
	"bad_id":              true,
	"no_recipients":       true,
	"too_many_recipients": true,
	"bad_recipient":       true,
	"duplicate_recipient": true,
	"recipient_is_sender": true,
	"body_too_large":      true,
	"bad_kind":            true,
	"bad_encoding":        true,
	"bad_ttl":             true,
	"too_large":           true,
	"frame_too_large":     true,
}
