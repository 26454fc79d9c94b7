package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// NewerError is the error for a record of a higher version than Format.
type NewerError struct {
	Key string
	V   uint64
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("record %q has format %d: this version of godwit understands up to %d", e.Key, e.V, Format)
}

// FormatError is the error for a record that has no meaning in any known format.
type FormatError struct {
	Key    string
	Reason string
}

func (e *FormatError) Error() string { return fmt.Sprintf("record %q %s", e.Key, e.Reason) }

// unknown holds the fields of a JSON object that this version does not know, by
// name. It is shared by copies of a record, and never changes.
type unknown map[string]json.RawMessage

// field is a field of a record's type that stands in its JSON object.
type field struct {
	index     int
	name      string
	omitempty bool
}

// fieldsOf returns the fields of a struct type that stand in JSON, in their order.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "" && name != "-" {
			fields = append(fields, field{i, name, options == "omitempty"})
		}
	}
	return fields
}

// layouts has the fields of the types that keep what they do not know.
var layouts = func() map[reflect.Type][]field {
	m := make(map[reflect.Type][]field)
	for _, v := range []any{Settings{}, Live{}, Node{}, Assignment{}, Controller{}, Request{}, Result{}} {
		t := reflect.TypeOf(v)
		m[t] = fieldsOf(t)
	}
	return m
}()

// parseFields reads a JSON object into the struct that into points to, and returns
// the fields that it does not know. Names must agree to the letter, which
// encoding/json by itself does not ask for: a field that differs in case is another.
func parseFields(object map[string]json.RawMessage, into any) (unknown, error) {
	v := reflect.ValueOf(into).Elem()
	rest := maps.Clone(object)
	for _, f := range layouts[v.Type()] {
		raw, ok := object[f.name]
		if !ok {
			continue
		}
		delete(rest, f.name)
		if err := json.Unmarshal(raw, v.Field(f.index).Addr().Interface()); err != nil {
			return nil, fmt.Errorf("has the field %q, which cannot be read: %w", f.name, err)
		}
	}
	if len(rest) == 0 {
		return nil, nil
	}
	return rest, nil
}

// appendFields appends the fields of a struct, then the unknown ones in the order of
// their names, as members of a JSON object: with a comma before each but the first.
func appendFields(dst []byte, from any, rest unknown) []byte {
	v := reflect.ValueOf(from)
	member := func(name string, value []byte) {
		if n := len(dst); dst[n-1] != '{' {
			dst = append(dst, ',')
		}
		key, _ := json.Marshal(name)
		dst = append(append(append(dst, key...), ':'), value...)
	}
	for _, f := range layouts[v.Type()] {
		if f.omitempty && v.Field(f.index).IsZero() {
			continue
		}
		value, err := json.Marshal(v.Field(f.index).Interface())
		if err != nil {
			// Only what is no number, text, or list of these can fail.
			panic(fmt.Sprintf("cluster: field %q: %v", f.name, err))
		}
		member(f.name, value)
	}
	for _, name := range slices.Sorted(maps.Keys(rest)) {
		member(name, rest[name])
	}
	return dst
}

// MarshalJSON implements json.Marshaler.
func (l Live) MarshalJSON() ([]byte, error) {
	return append(appendFields([]byte("{"), l, l.unknown), '}'), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *Live) UnmarshalJSON(text []byte) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		return err
	}
	var err error
	l.unknown, err = parseFields(object, l)
	return err
}

// encode returns the value of a record.
func encode(b Body) []byte {
	dst := fmt.Appendf(nil, `{"v":%d`, Format)
	switch b := b.(type) {
	case Settings:
		dst = appendFields(dst, b, b.unknown)
	case Node:
		dst = appendFields(dst, b, b.unknown)
	case Assignment:
		dst = appendFields(dst, b, b.unknown)
	case Controller:
		dst = appendFields(dst, b, b.unknown)
	case Request:
		dst = appendFields(dst, b, b.unknown)
	case Result:
		dst = appendFields(dst, b, b.unknown)
	case Foreign:
		return b.Value
	}
	return append(dst, '}')
}

// decode returns what a record with a value says, a Foreign if it is not understood.
func decode(key string, value []byte) Body {
	body, err := understand(key, value)
	if err == nil {
		return body
	}
	if newer := (*NewerError)(nil); !errors.As(err, &newer) {
		err = &FormatError{key, err.Error()}
	}
	return Foreign{RecordKey: key, Value: bytes.Clone(value), Err: err}
}

// understand reads a record. Its error is a *NewerError, or says in the words of a
// FormatError's Reason what is wrong.
func understand(key string, value []byte) (Body, error) {
	if len(value) > MaxRecord {
		return nil, fmt.Errorf("is longer than %d bytes", MaxRecord)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(value, &object); err != nil || object == nil {
		return nil, errors.New("is not a JSON object")
	}
	var v uint64
	if err := json.Unmarshal(object["v"], &v); err != nil || v == 0 {
		return nil, errors.New(`has no format number "v"`)
	}
	if v > Format {
		return nil, &NewerError{key, v}
	}
	delete(object, "v")

	prefix, id := key, ""
	if slash := strings.IndexByte(key, '/'); slash >= 0 {
		prefix, id = key[:slash+1], key[slash+1:]
		if prefix != PrefixPartition && !ValidID(id) {
			return nil, errors.New("has no id in its key")
		}
	}
	switch prefix {
	case KeySettings:
		return parseSettings(object)
	case PrefixNode:
		return parseNode(id, object)
	case PrefixPartition:
		return parseAssignment(id, object)
	case KeyController:
		return parseController(object)
	case PrefixRequest:
		return parseRequest(id, object)
	case PrefixResult:
		return parseResult(id, object)
	}
	return nil, errors.New("has a key that means nothing")
}

// differences calls f for each field in which two values of one type of layouts
// differ, with its name.
func differences(a, b any, f func(name string, a, b any)) {
	va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
	for _, field := range layouts[va.Type()] {
		fa, fb := va.Field(field.index).Interface(), vb.Field(field.index).Interface()
		if !reflect.DeepEqual(fa, fb) {
			f(field.name, fa, fb)
		}
	}
}
