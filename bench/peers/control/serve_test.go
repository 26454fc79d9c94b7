package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a Peer that keeps what it is asked for.
type recorder struct {
	push    Push
	kafka   Kafka
	err     error
	pushing chan struct{} // if not nil, closed when a push begins, which then lasts until it is cancelled
}

func (r *recorder) Ready() Ready { return Ready{Addr: "127.0.0.1:1", PID: 2} }
func (r *recorder) Conns() int   { return 3 }
func (r *recorder) Close() error { return nil }

func (r *recorder) Push(ctx context.Context, p Push) (int64, error) {
	r.push = p
	if r.pushing != nil {
		close(r.pushing)
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return int64(3 * p.Count), r.err
}

func (r *recorder) Run(_ context.Context, k Kafka) (KafkaResult, error) {
	r.kafka = k
	return KafkaResult{Messages: 7}, r.err
}

// serve gives the lines to a peer and returns its answers, without the first line.
func serve(t *testing.T, p Peer, lines ...string) []string {
	t.Helper()
	var out bytes.Buffer
	if err := Serve(p, strings.NewReader(strings.Join(lines, "\n")+"\n"), &out); err != nil {
		t.Fatal(err)
	}
	answers := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if want := `{"addr":"127.0.0.1:1","pid":2}`; answers[0] != want {
		t.Errorf("the first line is %s, want %s", answers[0], want)
	}
	return answers[1:]
}

func TestCommands(t *testing.T) {
	r := new(recorder)
	answers := serve(t, r,
		`{"cmd":"push","size":512,"count":10,"batch":4}`,
		`{"cmd":"stats"}`,
		`{"cmd":"kafka","brokers":["b:1"],"topic":"t","partitions":2,"rate":5,"size":200,"seconds":1.5,"records_per_message":2,"echo":true}`,
		`{"cmd":"quit"}`,
		`{"cmd":"stats"}`)
	if len(answers) != 4 || answers[3] != "{}" {
		t.Fatalf("answers %q, want four, the last of them to quit", answers)
	}
	var pushed PushResult
	if err := json.Unmarshal([]byte(answers[0]), &pushed); err != nil || pushed.Writes != 9 || pushed.Frames != 30 {
		t.Errorf("the push is answered with %s, %v: want 3 times 3 writes and 3 times 10 frames", answers[0], err)
	}
	if want := (Push{Size: 512, Count: 10, Batch: 4}); r.push != want {
		t.Errorf("the peer was asked for %+v, want %+v", r.push, want)
	}
	var s Stats
	if err := json.Unmarshal([]byte(answers[1]), &s); err != nil || s.Conns != 3 || s.RSS <= 0 || s.CPU <= 0 || s.Heap <= 0 || s.Objects <= 0 {
		t.Errorf("stats are %s, %v", answers[1], err)
	}
	want := Kafka{
		Brokers: []string{"b:1"}, Topic: "t", Partitions: 2, Rate: 5, Window: defaultWindow, Size: 200,
		Seconds: 1.5, RecordsPerMessage: 2, Echo: true, EchoConns: defaultEchoConns,
	}
	if got := fmt.Sprintf("%+v", r.kafka); got != fmt.Sprintf("%+v", want) {
		t.Errorf("the peer was asked for %s, want %+v", got, want)
	}
}

func TestDefaults(t *testing.T) {
	r := new(recorder)
	serve(t, r,
		`{"cmd":"push","size":1,"count":1}`,
		`{"cmd":"kafka","brokers":["b:1"],"topic":"t","partitions":1,"size":200,"seconds":1}`)
	if r.push.Batch != 1 || r.kafka.RecordsPerMessage != 1 || r.kafka.Window != defaultWindow || r.kafka.EchoConns != defaultEchoConns {
		t.Errorf("what is not said is %+v and %+v", r.push, r.kafka)
	}
}

func TestRefusals(t *testing.T) {
	kafka := `{"cmd":"kafka","brokers":["b:1"],"topic":"t","partitions":1,"size":200,"seconds":1`
	for line, want := range map[string]string{
		`what`:                                                        "not a command",
		`{"cmd":"fly"}`:                                               `no such command: "fly"`,
		`{"cmd":"stats","more":1}`:                                    "unknown field",
		`{"cmd":"push","cuont":1}`:                                    "unknown field",
		`{"cmd":"push","count":1}`:                                    "size is 0",
		`{"cmd":"push","size":1}`:                                     "count is 0",
		`{"cmd":"push","size":1048577}`:                               "size is 1048577",
		`{"cmd":"push","size":1,"count":1073741825}`:                  "count is 1073741825",
		`{"cmd":"push","size":1,"count":1,"batch":-1}`:                "batch is -1",
		`{"cmd":"push","size":1048576,"count":1,"batch":17}`:          "batch is 17: it must be 1 to 16",
		`{"cmd":"kafka"}`:                                             "brokers is empty",
		`{"cmd":"kafka","brokers":["b:1"]}`:                           "topic is empty",
		kafka + `,"records_per_message":3}`:                           "records_per_message is 3",
		kafka + `,"records_per_message":2}`:                           "partitions is 1",
		kafka + `,"rate":-1}`:                                         "rate is -1",
		kafka + `,"window":20001}`:                                    "window is 20001",
		kafka + `,"echo_conns":10001}`:                                "echo_conns is 10001",
		strings.Replace(kafka, "200", "7", 1) + `}`:                   "size is 7",
		strings.Replace(kafka, `s":1`, `s":0`, 1) + `}`:               "partitions is 0",
		strings.Replace(kafka, `"seconds":1`, `"seconds":0`, 1) + `}`: "seconds is 0",
	} {
		r := new(recorder)
		answers := serve(t, r, line)
		var f failure
		if err := json.Unmarshal([]byte(answers[0]), &f); err != nil || !strings.Contains(f.Error, want) {
			t.Errorf("%s is answered with %s, want %q in it", line, answers[0], want)
		}
		if r.push != (Push{}) || r.kafka.Topic != "" {
			t.Errorf("%s reached the peer", line)
		}
	}
}

func TestFailuresOfThePeer(t *testing.T) {
	r := &recorder{err: errors.New("no luck")}
	for _, answer := range serve(t, r, `{"cmd":"push","size":1,"count":1}`, `{"cmd":"kafka","brokers":["b:1"],"topic":"t","partitions":1,"size":200,"seconds":1}`) {
		if answer != `{"error":"no luck"}` {
			t.Errorf("answered with %s", answer)
		}
	}
}

// only is a Peer without further commands.
type only struct{ Peer }

func TestCommandsThatAPeerDoesNotHave(t *testing.T) {
	for _, answer := range serve(t, only{new(recorder)}, `{"cmd":"push","size":1,"count":1}`, `{"cmd":"kafka"}`) {
		if !strings.Contains(answer, "this peer does not") {
			t.Errorf("answered with %s", answer)
		}
	}
}

func TestTooLongALine(t *testing.T) {
	err := Serve(new(recorder), strings.NewReader(strings.Repeat(" ", maxLine+1)), io.Discard)
	if !errors.Is(err, bufio.ErrTooLong) {
		t.Errorf("%v, want %v", err, bufio.ErrTooLong)
	}
}

// TestEndOfInputCancels ends the input while a push is under way.
func TestEndOfInputCancels(t *testing.T) {
	r := &recorder{pushing: make(chan struct{})}
	in, driver := io.Pipe()
	go func() {
		fmt.Fprintln(driver, `{"cmd":"push","size":1,"count":1}`)
		<-r.pushing
		driver.Close()
	}()
	var out bytes.Buffer
	if err := Serve(r, in, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "canceled") {
		t.Errorf("answered with %s", out.String())
	}
}
