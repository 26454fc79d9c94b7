package admin

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// DefaultDevice is the device name of a send that names none.
const DefaultDevice = "api"

// originBytes is what the members from and device can add to the longest send, in
// bytes: both may be written in escapes, which take six bytes for one.
const originBytes = 6*(backplane.MaxUserID+backplane.MaxDevice) + 64

// parseSend decodes the body of a post: the members of a send frame, beside "from"
// and "device", which a session knows from its connect request. It takes those
// two out and leaves the rest to codec, so that what a send may be is decided in one
// place.
//
// The Message aliases d and frame memory and has no MessageID yet. The error is a
// *codec.Error.
func parseSend(d *codec.Decoder, body []byte, lim *codec.Limits) (m backplane.Message, device []byte, err error) {
	var from []byte
	frame := append(make([]byte, 0, len(body)+len(sendType)), sendType...)
	// From a bytes.Buffer jsontext reads in place.
	dec := jsontext.NewDecoder(bytes.NewBuffer(body))
	if dec.PeekKind() != '{' {
		if _, err := dec.ReadToken(); err != nil {
			return m, nil, badJSON(err)
		}
		return m, nil, badFrame("the body of the request is not a JSON object")
	}
	dec.ReadToken()
	for dec.PeekKind() != '}' {
		name, err := readString(dec)
		if err != nil {
			return m, nil, err
		}
		switch string(name) {
		case "from":
			from, err = readString(dec)
		case "device":
			device, err = readString(dec)
		case "type":
			err = &codec.Error{Code: codec.CodeUnknownField, Detail: "type"}
		default:
			frame, err = copyMember(frame, name, dec)
		}
		if err != nil {
			return m, nil, err
		}
	}
	dec.ReadToken()
	switch _, err := dec.ReadToken(); {
	case err == nil:
		return m, nil, badFrame("something follows the object")
	case err != io.EOF:
		return m, nil, badJSON(err)
	}

	var f codec.ClientFrame
	if err := d.Decode(codec.JSON, append(frame, '}'), lim, &f); err != nil {
		return m, nil, err
	}
	m = backplane.Message{From: from, To: f.Send.To, ID: f.Send.ID, Kind: f.Send.Kind, TTL: f.Send.TTL, Body: f.Send.Body}
	if len(device) == 0 {
		device = []byte(DefaultDevice)
	}
	return m, device, checkOrigin(&m, device)
}

const sendType = `{"type":"send"`

// checkOrigin checks what a session has checked before a send can come.
func checkOrigin(m *backplane.Message, device []byte) error {
	refuse := func(code backplane.Code, detail string) error {
		return &codec.Error{Code: code, Detail: detail, ID: bytes.Clone(m.ID)}
	}
	if err := backplane.ValidUser(m.From); err != nil {
		return refuse(codec.CodeBadParameter, "from: "+err.Error())
	}
	if len(device) > backplane.MaxDevice || !utf8.Valid(device) {
		return refuse(codec.CodeBadParameter, "device: a name of at most "+strconv.Itoa(backplane.MaxDevice)+" bytes of UTF-8")
	}
	for _, u := range m.To {
		if bytes.Equal(u, m.From) {
			return refuse(codec.CodeRecipientIsSender, "")
		}
	}
	return nil
}

// copyMember appends a member with the value that dec reads next.
func copyMember(frame, name []byte, dec *jsontext.Decoder) ([]byte, error) {
	value, err := dec.ReadValue()
	if err != nil {
		return nil, badJSON(err)
	}
	frame = append(frame, ',')
	if frame, err = jsontext.AppendQuote(frame, name); err != nil {
		return nil, badJSON(err)
	}
	return append(append(frame, ':'), value...), nil
}

// readString reads a string.
func readString(dec *jsontext.Decoder) ([]byte, error) {
	if k := dec.PeekKind(); k != '"' && k != 0 {
		return nil, badFrame("found " + k.String() + " in place of a string")
	}
	quoted, err := dec.ReadValue()
	if err != nil {
		return nil, badJSON(err)
	}
	text, err := jsontext.AppendUnquote(nil, quoted)
	if err != nil {
		return nil, badJSON(err)
	}
	return text, nil
}

func badFrame(detail string) error { return &codec.Error{Code: codec.CodeBadFrame, Detail: detail} }

func badJSON(err error) error {
	if errors.Is(err, io.EOF) {
		return badFrame("not valid JSON: nothing there")
	}
	return badFrame("not valid JSON: " + err.Error())
}
