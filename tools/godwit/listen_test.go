package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// news is what the played node says: two messages, a gap and the end of what is kept
// between them, and an error.
func news(enc codec.Encoding) [][]byte {
	deliver := func(seq uint64, body string) []byte {
		m := backplane.Message{
			MessageID: backplane.MessageID{0xab}, From: []byte("bob\x1b[2J"), To: [][]byte{[]byte("alice")},
			ID: []byte("m1"), Body: []byte(body), TTL: int64(seq) * 1000,
		}
		m.MessageID[1] = byte(seq)
		return append(codec.AppendDeliverHead(nil, enc, seq, false),
			codec.AppendDeliverTail(nil, enc, backplane.Position{}, 1_767_225_600_123, &m, backplane.AppendMessage(nil, &m), true)...)
	}
	return [][]byte{
		deliver(1, "hello\nwörld <b>"),
		codec.AppendGap(nil, enc, &codec.Gap{FromSeq: 2, ToSeq: 4, Reason: codec.GapOutboxFull, After: []byte("a"), Before: []byte("b")}),
		codec.AppendGap(nil, enc, &codec.Gap{FromSeq: 5, ToSeq: 5, Reason: codec.GapRetention, After: []byte("b"), Before: []byte("c")}),
		codec.AppendError(nil, enc, &codec.ErrorFrame{Code: codec.CodeUnauthorized, Message: "no"}),
		deliver(6, "\xff"),
	}
}

func TestListen(t *testing.T) {
	url := playNode(t, news, nil)
	cmd, stdout, stderr := run(t, "listen", "--url", url, "--user", "alice", "--encoding", "json")
	stdout.await(t, `\xff`)
	stderr.await(t, "says")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after an interrupt: %v, %s", err, stderr)
	}
	lines := strings.Split(stdout.String(), "\n")
	for i, want := range []string{` bob\x1b[2J: hello\nwörld <b>`, " -- 3 left out (outbox_full)", " -- messages are gone for good: their time to be kept is over", ` bob\x1b[2J: \xff`, ""} {
		if len(lines) != 5 || !strings.HasSuffix(lines[i], want) {
			t.Errorf("line %d of %q, want %q", i+1, lines, want)
		}
	}
	want := "connected to " + url + "/v1/connect as alice\ngodwit: client: the server says unauthorized: no\nto go on from here: --cursor AQAAAQ\n"
	if stderr.String() != want {
		t.Errorf("standard error is %q, want %q", stderr, want)
	}
}

func TestListenJSON(t *testing.T) {
	url := playNode(t, news, nil)
	cmd, stdout, stderr := run(t, "listen", "--url", url, "--token", tokenFor(t, "alice"), "--json")
	stdout.await(t, `"body_base64"`)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || stderr.String() != "" {
		t.Errorf("after an interrupt: %v, %s", err, stderr)
	}
	message := `{"type":"message","seq":%[1]d,"cursor":"AQAAAQ","time":1767225600123,"self":false,"message_id":"ab0%[1]d0000000000000000000000000000","from":"bob\u001b[2J","to":["alice"],"id":"m1","kind":"message","ttl_ms":%[1]d000,%[2]s}`
	want := []string{
		`{"type":"connected","url":"` + url + `/v1/connect","user":"alice","node":"n1","cursor":"` + beginning + `","resumed":false}`,
		fmt.Sprintf(message, 1, `"body":"hello\nwörld <b>"`),
		`{"type":"gap","from_seq":2,"to_seq":4,"reason":"outbox_full","after":"a","before":"b"}`,
		`{"type":"gone","after":"b","before":"c"}`,
		`{"type":"error","error":"client: the server says unauthorized: no"}`,
		fmt.Sprintf(message, 6, `"body_base64":"/w=="`),
		`{"type":"disconnected","url":"` + url + `/v1/connect","retry_in_ms":0,"cursor":"AQAAAQ","final":true}`,
	}
	lines := bufio.NewScanner(strings.NewReader(stdout.String()))
	for _, want := range want {
		if !lines.Scan() || lines.Text() != want || !json.Valid(lines.Bytes()) {
			t.Errorf("printed %s\nwant    %s", lines.Text(), want)
		}
	}
}

// Output that goes nowhere ends the command.
func TestListenWithoutAReader(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	defer full.Close()
	for _, args := range [][]string{nil, {"--json"}} {
		cmd := exec.CommandContext(t.Context(), binary, append([]string{"listen", "--url", playNode(t, news, nil), "--user", "alice"}, args...)...)
		cmd.Dir = t.TempDir()
		cmd.Stdout = full
		var stderr strings.Builder
		cmd.Stderr = &stderr
		if err := cmd.Run(); cmd.ProcessState.ExitCode() != 1 || !strings.Contains(stderr.String(), "no space left on device") {
			t.Errorf("%q: %v, %s", args, err, stderr.String())
		}
	}
}

// A cursor that the node does not take is told, and the command begins anew.
func TestListenGone(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string // on standard output
	}{
		{nil, " -- messages may be missing: the server does not take the cursor AQAAAQ (unknown_cursor)\n"},
		{[]string{"--json"}, `{"type":"gone","after":"AQAAAQ","code":"unknown_cursor"}` + "\n"},
	} {
		asked := make(chan string, 16)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			query := r.URL.Query()
			query.Del("device")
			asked <- query.Encode()
			http.Error(w, "unknown_cursor: of another log", http.StatusBadRequest)
		}))
		defer server.Close()
		r := godwit(t, t.TempDir(), nil, append([]string{
			"listen", "--url", strings.Replace(server.URL, "http", "ws", 1), "--token", tokenFor(t, "alice"),
			"--cursor", "AQAAAQ", "--start", "last:7", "--overflow", "gap",
		}, test.args...)...)
		if r.status != 1 || !strings.Contains(r.stdout, test.want) || strings.Contains(r.stderr, "--cursor") {
			t.Errorf("exit status %d\nstandard output: %s\nstandard error: %s", r.status, r.stdout, r.stderr)
		}
		for _, want := range []string{"cursor=AQAAAQ&overflow=gap", "overflow=gap&start=last%3A7"} {
			if got := <-asked; got != want {
				t.Errorf("the command asks for %q, want %q", got, want)
			}
		}
	}
}
