package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// jsonFields are the members of an object.
type jsonFields struct {
	where   string // of which frame, for findings
	found   *findings
	members map[string]json.RawMessage
}

// jsonFrame takes the object of a frame apart, and returns its type.
func jsonFrame(message []byte, found *findings) (name string, f fields) {
	members, order := jsonObject("a frame", message, found)
	if members == nil {
		return "", nil
	}
	o := &jsonFields{where: "a frame", found: found, members: members}
	if len(order) == 0 || order[0] != "type" {
		o.note("does not begin with its type")
	}
	name = o.text("type", 0)
	if _, known := frameNumbers[name]; !known && name != "deliver" {
		o.note("has the unknown type %q", name)
		return "", nil
	}
	o.where = name
	return name, o
}

// jsonObject returns the members of an object and their names in order, or nil if raw
// is something else.
func jsonObject(where string, raw []byte, found *findings) (members map[string]json.RawMessage, order []string) {
	bad := func(why string) (map[string]json.RawMessage, []string) {
		found.add(RuleEncoding, "%s is not a JSON object: %s", where, why)
		return nil, nil
	}
	if !json.Valid(raw) {
		return bad("it is not valid JSON")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return bad("it does not begin as one")
	}
	members = make(map[string]json.RawMessage)
	for d.More() {
		t, err := d.Token()
		name, isName := t.(string)
		if err != nil || !isName {
			return bad("a member has no name")
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return bad(err.Error())
		}
		if _, twice := members[name]; twice {
			found.add(RuleEncoding, "%s has the member %q twice", where, name)
		}
		members[name] = value
		order = append(order, name)
	}
	return members, order
}

func (o *jsonFields) note(format string, args ...any) {
	o.found.add(RuleEncoding, o.where+" "+format, args...)
}

// take removes a member, so that end sees what is left.
func (o *jsonFields) take(name string) json.RawMessage {
	raw := o.members[name]
	delete(o.members, name)
	return raw
}

func (o *jsonFields) has(name string, _ protowire.Number) bool {
	_, there := o.members[name]
	return there
}

func (o *jsonFields) text(name string, _ protowire.Number) string {
	return o.unquote(name, o.take(name))
}

// unquote decodes a string. Package json puts U+FFFD for what is no character, so one
// that is not in the text itself is such a replacement.
func (o *jsonFields) unquote(name string, raw json.RawMessage) (s string) {
	if raw == nil {
		return ""
	}
	if raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		o.note("has a %s that is not text: %.40s", name, raw)
		return ""
	}
	const replacement = string(utf8.RuneError)
	written := strings.Count(string(raw), replacement) + strings.Count(strings.ToLower(string(raw)), `\ufffd`)
	if strings.Count(s, replacement) > written {
		o.note("has a %s with half a surrogate pair: %.40s", name, raw)
	}
	return s
}

func (o *jsonFields) texts(name string, _ protowire.Number) (texts []string) {
	for _, raw := range o.elements(name) {
		texts = append(texts, o.unquote(name, raw))
	}
	return texts
}

func (o *jsonFields) elements(name string) (elements []json.RawMessage) {
	raw := o.take(name)
	if raw == nil {
		return nil
	}
	if raw[0] != '[' || json.Unmarshal(raw, &elements) != nil {
		o.note("has a member %s that is no array: %.40s", name, raw)
	}
	return elements
}

func (o *jsonFields) number(name string, _ protowire.Number) uint64 {
	raw := o.take(name)
	if raw == nil {
		return 0
	}
	n, err := strconv.ParseUint(string(raw), 10, 64)
	if err != nil || n >= maxNumber {
		o.note("has a %s that is no number from 0 to 2^53: %.40s", name, raw)
		return 0
	}
	return n
}

func (o *jsonFields) flag(name string, _ protowire.Number) bool {
	switch raw := o.take(name); string(raw) {
	case "true":
		return true
	case "", "false":
		return false
	default:
		o.note("has a %s that is neither true nor false: %.40s", name, raw)
		return false
	}
}

func (o *jsonFields) enum(name string, _ protowire.Number, values ...string) string {
	if !o.has(name, 0) {
		return values[0]
	}
	value := o.text(name, 0)
	if value == "" || !slices.Contains(values, value) {
		o.note("has the unknown %s %q", name, value)
		return values[0]
	}
	return value
}

func (o *jsonFields) messageID(name string, _ protowire.Number) (id MessageID) {
	if !o.has(name, 0) {
		return id
	}
	digits := o.text(name, 0)
	if len(digits) != hex.EncodedLen(len(id)) {
		o.note("has a %s of %d digits", name, len(digits))
		return id
	}
	if _, err := hex.Decode(id[:], []byte(digits)); err != nil {
		o.note("has a %s that is not hexadecimal: %q", name, digits)
		return MessageID{}
	}
	return id
}

func (o *jsonFields) body(name string, _ protowire.Number) []byte {
	coded := name + "_base64"
	if !o.has(coded, 0) {
		return []byte(o.text(name, 0))
	}
	if o.has(name, 0) {
		o.note("has both %s and %s", name, coded)
		o.take(name)
	}
	text := o.text(coded, 0)
	body, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		o.note("has a %s that is not padded standard base64", coded)
		return nil
	}
	if utf8.Valid(body) {
		o.note("has text in %s", coded)
	}
	return body
}

func (o *jsonFields) part(name string, _ protowire.Number) fields {
	f := &jsonFields{where: o.where + "." + name, found: o.found}
	if raw := o.take(name); raw != nil {
		f.members, _ = jsonObject(f.where, raw, o.found)
	}
	return f
}

func (o *jsonFields) parts(name string, _ protowire.Number) (parts []fields) {
	for _, raw := range o.elements(name) {
		f := &jsonFields{where: o.where + "." + name, found: o.found}
		f.members, _ = jsonObject(f.where, raw, o.found)
		parts = append(parts, f)
	}
	return parts
}

func (o *jsonFields) stored(protowire.Number) fields { return o }

func (o *jsonFields) end() {
	for name := range o.members {
		o.note("has the unknown member %q", name)
	}
	o.members = nil // a message ends both as itself and as its frame
}

// The frames of a client, as JSON has them.
type (
	jsonSend struct {
		Type       string   `json:"type"`
		ID         string   `json:"id"`
		To         []string `json:"to"`
		Kind       Kind     `json:"kind,omitempty"`
		TTL        uint64   `json:"ttl_ms,omitempty"`
		Body       string   `json:"body,omitempty"`
		BodyBase64 []byte   `json:"body_base64,omitempty"`
	}
	jsonRefresh struct {
		Type  string `json:"type"`
		Token string `json:"token"`
	}
	jsonPing struct {
		Type string `json:"type"`
	}
	jsonHistory struct {
		Type   string `json:"type"`
		ID     string `json:"id"`
		After  string `json:"after,omitempty"`
		Before string `json:"before,omitempty"`
		Around string `json:"around,omitempty"`
		Limit  int    `json:"limit,omitempty"`
		Peer   string `json:"peer,omitempty"`
	}
)

// encodeJSON encodes a *Send, a *History, a refresh or a ping.
func encodeJSON(frame any) []byte {
	var v any
	switch f := frame.(type) {
	case *Send:
		s := jsonSend{Type: "send", ID: f.ID, To: f.To, Kind: f.Kind, TTL: f.TTL}
		if utf8.Valid(f.Body) {
			s.Body = string(f.Body)
		} else {
			s.BodyBase64 = f.Body
		}
		v = s
	case *History:
		v = jsonHistory{"history", f.ID, f.After, f.Before, f.Around, f.Limit, f.Peer}
	case refresh:
		v = jsonRefresh{"refresh", string(f)}
	case ping:
		v = jsonPing{"ping"}
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, numbers and bytes can all be written
	}
	return b
}
