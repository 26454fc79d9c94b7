package admin

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// FuzzParseSend checks that parseSend gives what the codec gives for the same send
// on a connection: only what is within the limits, and only errors that have a code.
func FuzzParseSend(f *testing.F) {
	for _, seed := range []string{
		post, `{}`, `{"from":"a","device":"d","id":"1","to":["b"],"kind":"signal","body_base64":"AA=="}`,
		`{"type":"send"}`, `{"id":"1","from":"a","to":["a"]}`, `{"fr\u006fm":"\ud83d\ude00","id":"1","to":["b"],"x":[{}]}`,
		`[`, ``, `{"from":1}`, post + " x",
	} {
		f.Add([]byte(seed))
	}
	lim := codec.Limits{Body: 64, Recipients: 3}
	f.Fuzz(func(t *testing.T, body []byte) {
		var d codec.Decoder
		kept := bytes.Clone(body)
		m, device, err := parseSend(&d, body, &lim)
		if !bytes.Equal(body, kept) {
			t.Fatal("the body was changed")
		}
		if err != nil {
			var e *codec.Error
			if !errors.As(err, &e) || e.Code == "" {
				t.Fatalf("the error is %v", err)
			}
			return
		}
		if backplane.ValidUser(m.From) != nil || len(device) == 0 || len(device) > backplane.MaxDevice {
			t.Fatalf("accepted: from %q on %q", m.From, device)
		}
		// The same as a frame of a connection.
		frame := codec.AppendClientFrame(nil, codec.JSON, &codec.ClientFrame{
			Type: codec.FrameSend, Send: codec.Send{ID: m.ID, To: m.To, Kind: m.Kind, Body: m.Body},
		})
		var again codec.Decoder
		var got codec.ClientFrame
		if err := again.Decode(codec.JSON, frame, &lim, &got); err != nil {
			t.Fatalf("accepted what the codec refuses: %v: %s", err, frame)
		}
		for _, u := range m.To {
			if bytes.Equal(u, m.From) {
				t.Fatalf("%q sends to itself", u)
			}
		}
	})
}

// The largest request that is read has room for the largest send there is.
func TestLargestSendFits(t *testing.T) {
	p := start(t)
	escape := func(n int) string { return strings.Repeat(`\u0001`, n) }
	var b strings.Builder
	b.WriteString(`{"id":"` + escape(backplane.MaxClientID) + `","from":"` + escape(backplane.MaxUserID) + `","device":"` + escape(backplane.MaxDevice) + `","kind":"message","to":[`)
	for i := range backplane.MaxRecipients {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + escape(backplane.MaxUserID-1) + `\u00` + string("01234567"[i/16%8]) + string("0123456789abcdef"[i%16]) + `"`)
	}
	b.WriteString(`],"body":"` + escape(backplane.MaxBody) + `"}`)
	// The second recipient ends like the sender, whose id is all of that character.
	body := strings.Replace(b.String(), escape(backplane.MaxUserID)+`","device"`, escape(backplane.MaxUserID-1)+`\u007f","device"`, 1)
	if r, _, text := p.send(body); r.StatusCode != 200 {
		t.Errorf("%d of %d bytes: %s, %s", len(body), p.bodyMax, r.Status, text)
	}
}
