package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// send posts a message and returns the answer as a client of the wire reads it.
func (p *port) send(body string) (*http.Response, codec.Ack, string) {
	p.t.Helper()
	r, text := p.request("POST", "/v1/messages", body)
	if got := r.Header.Get("Content-Type"); got != "application/json" {
		p.t.Errorf("the answer to %.80s is %s", body, got)
	}
	var f codec.ServerFrame
	if err := codec.DecodeServer(codec.JSON, []byte(text), &f); err != nil || f.Type != codec.FrameAck {
		p.t.Fatalf("the answer to %.80s is no ack: %v, %s", body, err, text)
	}
	return r, f.Ack, text
}

func TestStored(t *testing.T) {
	p := start(t)
	for _, test := range []struct {
		name   string
		body   string
		device string
		want   backplane.Message
	}{
		{"text", `{"id":"1","from":"alice","to":["bob","carol"],"body":"hi"}`, DefaultDevice, message("alice", "1", 0, "hi", "bob", "carol")},
		{"in another order", ` { "body" : "hi", "to":["bob"], "from":"alice" , "kind":"message","id":"1" } `, DefaultDevice, message("alice", "1", 0, "hi", "bob")},
		{"a device", `{"id":"1","from":"alice","device":"crm-7","to":["bob"],"body":"hi"}`, "crm-7", message("alice", "1", 0, "hi", "bob")},
		{"an empty device", `{"id":"1","from":"alice","device":"","to":["bob"],"body":"hi"}`, DefaultDevice, message("alice", "1", 0, "hi", "bob")},
		{"a signal without a body", `{"id":"1","from":"alice","to":["bob"],"kind":"signal"}`, DefaultDevice, message("alice", "1", backplane.KindSignal, "", "bob")},
		{"bytes", `{"id":"1","from":"alice","to":["bob"],"body_base64":"AP8="}`, DefaultDevice, message("alice", "1", 0, "\x00\xff", "bob")},
		{"escapes", `{"\u0069d":"\u0031","fr\u006fm":"\u0061lice","to":["b\u006fb"],"body":"\ud83d\ude00\n"}`, DefaultDevice, message("alice", "1", 0, "😀\n", "bob")},
		{"the largest body", `{"id":"1","from":"alice","to":["bob"],"body":"` + strings.Repeat(`\u0001`, backplane.MaxBody) + `"}`,
			DefaultDevice, message("alice", "1", 0, strings.Repeat("\x01", backplane.MaxBody), "bob")},
	} {
		r, ack, text := p.send(test.body)
		got := p.log.last()
		want := backplane.Identify([]byte(test.device), &test.want)
		if r.StatusCode != 200 || string(ack.ID) != "1" || ack.Status != backplane.Stored || ack.Code != "" ||
			ack.Time != 1700000000000 || ack.MessageID != want {
			t.Errorf("%s: %s, %s", test.name, r.Status, text)
		}
		if got.id != want || got.message.MessageID != want || got.session != 0 {
			t.Errorf("%s: the send has the ids %x, %x and session %d, want %x", test.name, got.id, got.message.MessageID, got.session, want)
		}
		got.message.MessageID = backplane.MessageID{}
		if fmt.Sprintf("%v", got.message) != fmt.Sprintf("%v", test.want) {
			t.Errorf("%s: stored %v, want %v", test.name, got.message, test.want)
		}
	}
}

func message(from, id string, kind backplane.Kind, body string, to ...string) backplane.Message {
	m := backplane.Message{From: []byte(from), ID: []byte(id), Kind: kind}
	if body != "" {
		m.Body = []byte(body)
	}
	for _, u := range to {
		m.To = append(m.To, []byte(u))
	}
	return m
}

func TestBadInput(t *testing.T) {
	p := start(t, func(c *Config) { c.Body = 100 })
	users := func(n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf("%q", fmt.Sprint("u", i)))
		}
		return strings.Join(list, ",")
	}
	for _, test := range []struct {
		name   string
		body   string
		status int
		code   backplane.Code
		id     string
		detail string // what "message" begins with
	}{
		{"nothing", ``, 400, codec.CodeBadFrame, "", "not valid JSON"},
		{"not JSON", `id=1&from=alice`, 400, codec.CodeBadFrame, "", "not valid JSON"},
		{"an array", `[]`, 400, codec.CodeBadFrame, "", "the body of the request is not a JSON object"},
		{"cut off", `{"id":"1","from":"alice","to":["bob"]`, 400, codec.CodeBadFrame, "", "not valid JSON"},
		{"two objects", post + post, 400, codec.CodeBadFrame, "", "something follows the object"},
		{"bad UTF-8", "{\"id\":\"1\",\"from\":\"\xff\"}", 400, codec.CodeBadFrame, "", "not valid JSON"},
		{"given twice", `{"id":"1","from":"alice","from":"carol","to":["bob"]}`, 400, codec.CodeBadFrame, "", "not valid JSON"},
		{"given twice in escapes", `{"id":"1","from":"alice","fr\u006fm":"carol","to":["bob"]}`, 400, codec.CodeBadFrame, "", "not valid JSON"},
		{"nothing in it", `{}`, 400, codec.CodeBadID, "", ""},
		{"no id", `{"from":"alice","to":["bob"]}`, 400, codec.CodeBadID, "", ""},
		{"an id too long", `{"id":"` + strings.Repeat("i", 65) + `","from":"alice","to":["bob"]}`, 400, codec.CodeBadID, "", ""},
		{"a number for an id", `{"id":1,"from":"alice","to":["bob"]}`, 400, codec.CodeBadFrame, "", "found number"},
		{"no recipients", `{"id":"1","from":"alice"}`, 400, codec.CodeNoRecipients, "1", ""},
		{"an empty list", `{"id":"1","from":"alice","to":[]}`, 400, codec.CodeNoRecipients, "1", ""},
		{"too many recipients", `{"id":"1","from":"alice","to":[` + users(65) + `]}`, 400, codec.CodeTooManyRecipients, "1", ""},
		{"a recipient twice", `{"to":["bob","bob"],"from":"alice","id":"1"}`, 400, codec.CodeDuplicateRecipient, "1", "bob"},
		{"an empty recipient", `{"id":"1","from":"alice","to":[""]}`, 400, codec.CodeBadRecipient, "1", "the user id is empty"},
		{"to oneself", `{"id":"1","from":"alice","to":["bob","alice"]}`, 400, codec.CodeRecipientIsSender, "1", ""},
		{"a kind of its own", `{"id":"1","from":"alice","to":["bob"],"kind":"typing"}`, 400, codec.CodeBadKind, "1", "typing"},
		{"a large body", `{"id":"1","from":"alice","to":["bob"],"body":"` + strings.Repeat("x", 101) + `"}`, 413, codec.CodeBodyTooLarge, "1", ""},
		{"two bodies", `{"id":"1","from":"alice","to":["bob"],"body":"","body_base64":""}`, 400, codec.CodeBadEncoding, "1", "body and body_base64"},
		{"bad base64", `{"id":"1","from":"alice","to":["bob"],"body_base64":"AP8"}`, 400, codec.CodeBadEncoding, "1", "body_base64"},
		{"unknown", `{"id":"1","from":"alice","to":["bob"],"ttl":5}`, 400, codec.CodeUnknownField, "1", "ttl"},
		{"of another frame", `{"id":"1","from":"alice","to":["bob"],"token":"x"}`, 400, codec.CodeUnknownField, "1", "token"},
		{"a type", `{"type":"send","id":"1","from":"alice","to":["bob"]}`, 400, codec.CodeUnknownField, "", "type"},
		{"nobody sends", `{"id":"1","to":["bob"]}`, 400, codec.CodeBadParameter, "1", "from: the user id is empty"},
		{"a long sender", `{"id":"1","from":"` + strings.Repeat("a", 129) + `","to":["bob"]}`, 400, codec.CodeBadParameter, "1", "from: the user id is longer"},
		{"a number sends", `{"id":"1","from":7,"to":["bob"]}`, 400, codec.CodeBadFrame, "", "found number"},
		{"a long device", `{"id":"1","from":"alice","to":["bob"],"device":"` + strings.Repeat("d", 65) + `"}`, 400, codec.CodeBadParameter, "1", "device: "},
		{"a device that is null", `{"id":"1","from":"alice","to":["bob"],"device":null}`, 400, codec.CodeBadFrame, "", "found null"},
	} {
		r, ack, text := p.send(test.body)
		if r.StatusCode != test.status || ack.Status != backplane.Rejected || ack.Code != test.code || string(ack.ID) != test.id {
			t.Errorf("%s: %s, %s", test.name, r.Status, text)
		}
		if _, detail, _ := strings.Cut(text, `"message":"`); !strings.HasPrefix(detail, test.detail) {
			t.Errorf("%s: the answer is %s, want %q in it", test.name, text, test.detail)
		}
		if r.Header.Get("Retry-After") != "" {
			t.Errorf("%s: is to be retried", test.name)
		}
	}
	if len(p.log.sends) != 0 {
		t.Errorf("%d of them were sent", len(p.log.sends))
	}
	if r, _ := p.request("PUT", "/v1/messages", post); r.StatusCode != 405 {
		t.Errorf("PUT: %s", r.Status)
	}
}

func TestOversizedRequests(t *testing.T) {
	p := start(t)
	limit := int(p.bodyMax)
	fits := post + strings.Repeat(" ", limit-len(post))
	if r, _, text := p.send(fits); r.StatusCode != 200 {
		t.Errorf("%d bytes: %s, %s", len(fits), r.Status, text)
	}
	if r, ack, _ := p.send(fits + " "); r.StatusCode != 413 || ack.Code != codec.CodeFrameTooLarge {
		t.Errorf("a byte more: %s, %s", r.Status, ack.Code)
	}
	// Without a length the server must notice by itself.
	r, err := p.client.Post(p.url+"/v1/messages", "", io.MultiReader(strings.NewReader(fits), strings.NewReader(" ")))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != 413 {
		t.Errorf("a byte more in chunks: %s", r.Status)
	}
}

func TestOutcomes(t *testing.T) {
	p := start(t)
	for _, test := range []struct {
		outcome backplane.Outcome
		http    int
		retry   bool
	}{
		{backplane.Outcome{Status: backplane.Stored, Time: 5}, 200, false},
		{backplane.Outcome{Status: backplane.Unknown, Code: backplane.CodeTimeout}, 504, false},
		{backplane.Outcome{Status: backplane.Unknown, Code: backplane.CodeUnavailable}, 504, false},
		{backplane.Outcome{Status: backplane.Rejected, Code: backplane.CodeTooLarge}, 413, false},
		{backplane.Outcome{Status: backplane.Rejected, Code: backplane.CodeForbidden}, 403, false},
		{backplane.Outcome{Status: backplane.Rejected, Code: backplane.CodeOverloaded}, 503, true},
		{backplane.Outcome{Status: backplane.Rejected, Code: backplane.CodeShutdown}, 503, true},
		{backplane.Outcome{Status: backplane.Rejected, Code: codec.CodeRateLimited}, 429, true},
	} {
		check := func(how string) {
			t.Helper()
			r, ack, text := p.send(post)
			if r.StatusCode != test.http || ack.Status != test.outcome.Status || ack.Code != test.outcome.Code ||
				ack.Time != test.outcome.Time || string(ack.ID) != "1" {
				t.Errorf("%+v as %s: %s, %s", test.outcome, how, r.Status, text)
			}
			if got := r.Header.Get("Retry-After") != ""; got != test.retry {
				t.Errorf("%+v as %s: Retry-After is %q", test.outcome, how, r.Header.Get("Retry-After"))
			}
		}
		p.log.outcome, p.log.refusal = &test.outcome, nil
		check("an outcome")
		if test.outcome.Status == backplane.Rejected {
			p.log.refusal = &backplane.Rejection{Code: test.outcome.Code}
			check("a refusal")
		}
	}
	p.log.refusal = errors.New("something else")
	if r, ack, _ := p.send(post); r.StatusCode != 503 || ack.Code != backplane.CodeOverloaded {
		t.Errorf("an error of no kind: %s, %s", r.Status, ack.Code)
	}
}

// A client that goes away leaves nothing behind, and gives its place back, though no
// outcome has come.
func TestClientGoesAway(t *testing.T) {
	p := start(t)
	p.log.outcome = nil
	ctx, cancel := context.WithCancel(context.Background())
	gone := make(chan error, 1)
	go func() {
		r, err := http.NewRequestWithContext(ctx, "POST", p.url+"/v1/messages", strings.NewReader(post))
		if err == nil {
			_, err = p.client.Do(r)
		}
		gone <- err
	}()
	p.log.wait(t, 1)
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Fatalf("the request ended with %v", err)
	}
	eventually(t, "its place is free", func() bool { return len(p.sends) == 0 })
	p.log.last().waiter.Done(backplane.Outcome{Status: backplane.Stored}) // must not block
}

// With all places taken, the next send is refused at once, and there is room again
// after the answers.
func TestTooManySends(t *testing.T) {
	p := start(t)
	p.log.outcome = nil
	answers := make(chan int, maxSends)
	for i := range maxSends {
		go func() {
			r, _ := p.request("POST", "/v1/messages", fmt.Sprintf(`{"id":"%d","from":"alice","to":["bob"]}`, i))
			answers <- r.StatusCode
		}()
	}
	p.log.wait(t, maxSends)
	if r, ack, _ := p.send(post); r.StatusCode != 503 || ack.Code != backplane.CodeOverloaded || r.Header.Get("Retry-After") == "" {
		t.Errorf("one more: %s, %s", r.Status, ack.Code)
	}
	p.log.mu.Lock()
	for _, s := range p.log.sends {
		s.waiter.Done(backplane.Outcome{Status: backplane.Stored, Time: 1})
	}
	p.log.outcome = &backplane.Outcome{Status: backplane.Stored, Time: 1}
	p.log.mu.Unlock()
	for range maxSends {
		if status := <-answers; status != 200 {
			t.Fatalf("one of them got %d", status)
		}
	}
	eventually(t, "all places are free", func() bool { return len(p.sends) == 0 })
	if r, _, text := p.send(post); r.StatusCode != 200 {
		t.Errorf("afterwards: %s, %s", r.Status, text)
	}
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not come true that %s", what)
		}
	}
}
