package main_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// outcome answers every send alike.
func outcome(status backplane.Status, code backplane.Code) func(*codec.Send) codec.Ack {
	return func(*codec.Send) codec.Ack {
		a := codec.Ack{Status: status, Code: code}
		if status == backplane.Stored {
			a.MessageID, a.Time = backplane.MessageID{0xab}, 1_767_225_600_123
		}
		return a
	}
}

// first answers the first send with one status, and others with another.
func first(status, then backplane.Status) func(*codec.Send) codec.Ack {
	return func(s *codec.Send) codec.Ack {
		a := outcome(status, backplane.CodeTooLarge)(s)
		status = then
		return a
	}
}

const storedID = "ab000000000000000000000000000000"

func TestSend(t *testing.T) {
	for _, encoding := range []string{"json", "proto"} {
		got := make(chan string, 1)
		url := playNode(t, nil, func(s *codec.Send) codec.Ack {
			got <- fmt.Sprintf("%s %s %d %d %q", s.ID, s.To, s.Kind, s.TTL, s.Body)
			return outcome(backplane.Stored, "")(s)
		})
		out := godwit(t, t.TempDir(), nil, "send", "--url", url, "--user", "alice", "--encoding", encoding,
			"--to", "bob", "--to", "carol,dave", "--kind", "signal", "--ttl", "1m30s", "--id", "m1", "hello").succeeds(t)
		if out != "stored "+storedID+"\n" {
			t.Errorf("printed %q", out)
		}
		if s, want := <-got, `m1 [bob carol,dave] 1 90000 "hello"`; s != want {
			t.Errorf("sent %s, want %s", s, want)
		}
	}
}

func TestSendJSON(t *testing.T) {
	for _, test := range []struct {
		ack    func(*codec.Send) codec.Ack
		args   string
		status int
		want   map[string]any
	}{
		{outcome(backplane.Stored, ""), "", 0, map[string]any{"status": "stored", "id": "m1", "message_id": storedID, "time": 1767225600123.0}},
		{outcome(backplane.Rejected, codec.CodeRecipientIsSender), "", 1, map[string]any{
			"status": "rejected", "id": "m1", "code": "recipient_is_sender",
			"error": `client: send "m1" rejected: recipient_is_sender: The send names its own sender as a recipient.`,
		}},
		{first(backplane.Unknown, backplane.Rejected), "", 1, map[string]any{
			"status": "unknown", "id": "m1", "code": "too_large", "found": true,
			"error": `client: the outcome of send "m1" is unknown: too_large: The log refuses a record of this size.: the server would refuse another attempt; it is in the sender's timeline`,
		}},
		{outcome(backplane.Unknown, backplane.CodeTimeout), "--timeout 1s", 1, map[string]any{
			"status": "unknown", "id": "m1", "code": "timeout",
			"error": `client: the outcome of send "m1" is unknown: timeout: The log did not answer in time.: no outcome within 1s`,
		}},
	} {
		url := playNode(t, nil, test.ack)
		args := append([]string{"send", "--json", "--url", url, "--token", tokenFor(t, "alice"), "--to", "bob", "--id", "m1"}, strings.Fields(test.args)...)
		r := godwit(t, t.TempDir(), nil, append(args, "hello")...)
		var got map[string]any
		if err := json.Unmarshal([]byte(r.stdout), &got); err != nil {
			t.Fatalf("printed %q: %v", r.stdout, err)
		}
		if fmt.Sprint(got) != fmt.Sprint(test.want) || r.status != test.status || strings.Count(r.stdout, "\n") != 1 {
			t.Errorf("exit status %d, printed %v\nwant %v", r.status, got, test.want)
		}
		if text, failed := test.want["error"]; failed && r.stderr != fmt.Sprintf("godwit: %s\n", text) {
			t.Errorf("standard error: %s", r.stderr)
		}
	}
}

func TestSendStandardInput(t *testing.T) {
	got := make(chan string, 1)
	url := playNode(t, nil, func(s *codec.Send) codec.Ack {
		got <- string(s.Body)
		return outcome(backplane.Stored, "")(s)
	})
	send := func(body string) error {
		cmd := exec.Command(binary, "send", "--url", url, "--token", tokenFor(t, "alice"), "--to", "bob", "-")
		cmd.Stdin = strings.NewReader(body)
		return cmd.Run()
	}
	if err := send("two\nlines\n"); err != nil {
		t.Fatal(err)
	}
	if body := <-got; body != "two\nlines\n" {
		t.Errorf("the body is %q", body)
	}
	if err := send(strings.Repeat("x", backplane.MaxBody+1)); err == nil {
		t.Error("a body that is too long was sent")
	}
}

func TestSendWithoutAConnection(t *testing.T) {
	r := godwit(t, t.TempDir(), nil, "send", "--url", "ws://127.0.0.1:1", "--user", "alice", "--to", "bob", "--timeout", "50ms", "--json", "hi")
	if r.status != 1 || !strings.Contains(r.stderr, "trying again in") || !strings.Contains(r.stderr, "godwit: no outcome within 50ms: ") ||
		!strings.HasPrefix(r.stdout, `{"status":"failed","error":"no outcome within 50ms: `) {
		t.Errorf("exit status %d\nstandard output: %s\nstandard error: %s", r.status, r.stdout, r.stderr)
	}
}

func TestSendWrongUsage(t *testing.T) {
	token := tokenFor(t, "alice")
	for _, test := range []struct{ args, want string }{
		{"send --user alice --to bob", "godwit: accepts 1 arg(s), received 0"},
		{"send --to bob hi", "godwit: --user is missing: the id of a user is needed"},
		{"send --user alice hi", "godwit: --to is missing: the id of a user is needed"},
		{"send --user alice --to bob --kind loud hi", `godwit: --kind is "loud": must be message or signal`},
		{"send --user alice --to bob --ttl 9000h hi", "godwit: --ttl is 9000h0m0s: must be whole milliseconds, at most a year"},
		{"send --user alice --to bob --ttl 1us hi", "godwit: --ttl is 1µs: must be whole milliseconds, at most a year"},
		{"send --user alice --to bob --timeout 0 hi", "godwit: --timeout is 0s: must be above 0"},
		{"send --user alice --to bob --encoding xml hi", `godwit: --encoding is "xml": must be json or proto`},
		{"send --user bob --token " + token + " --to carol hi", `godwit: --user is "bob", but --token is for "alice"`},
		{"send --user alice --to bob --url http://n hi", `godwit: client: the URL is "http://n": must be like ws://host:port or wss://host:port`},
		{"listen", "godwit: --user is missing: the id of a user is needed"},
		{"listen --user alice --start last:1001", `godwit: --start is "last:1001": must be live, or last: and a number from 1 to 1000`},
		{"listen --user alice --overflow drop", `godwit: --overflow is "drop": must be auto or gap`},
		{"listen --user alice --cursor " + strings.Repeat("c", 65), `godwit: client: Cursor is "` + strings.Repeat("c", 65) + `": no server gives such a cursor`},
		{"listen --user alice now", `godwit: unknown command "now" for "godwit listen"`},
		{"listen --user alice --device " + strings.Repeat("d", 65), `godwit: client: Device is "` + strings.Repeat("d", 65) + `": must be at most 64 bytes of UTF-8`},
	} {
		r := godwit(t, t.TempDir(), nil, strings.Fields(test.args)...)
		if r.status != 2 || r.stdout != "" || r.stderr != test.want+"\n" {
			t.Errorf("godwit %s: exit status %d\nstandard output: %s\nstandard error:  %swant:            %s", test.args, r.status, r.stdout, r.stderr, test.want)
		}
	}
}
