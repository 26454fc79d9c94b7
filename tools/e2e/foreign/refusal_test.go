package foreign

import (
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// partitions is how many partitions godwit dev has.
const partitions = 64

// refusal is how a client is not let in. A client that speaks as a browser does is
// told by a frame and a close code, since a page sees no HTTP status.
type refusal struct {
	status int
	code   string
	close  int
}

// check connects with and without an Origin and compares what the client learns.
func (r refusal) check(t *testing.T, k kind, url, token, name string, args ...string) {
	t.Helper()
	plain := start(t, k, url, token, name, args...)
	got := plain.take("refusal", func(e *event) bool { return e.Event == "refused" })
	if got.Status != r.status || !strings.HasPrefix(got.Body, r.code+": ") {
		t.Errorf("refused with %d %q, want %d %s", got.Status, got.Body, r.status, r.code)
	}
	if r.status == 401 && got.Headers["www-authenticate"] != "Bearer" {
		t.Errorf("WWW-Authenticate is %q, want Bearer", got.Headers["www-authenticate"])
	}
	plain.quiet()

	page := start(t, k, url, token, name, append(args, "--origin", "https://chat.example")...)
	page.take("open", func(e *event) bool { return e.Event == "open" })
	if e := page.frame("error"); e.Code != r.code || e.Message == "" {
		t.Errorf("error: %+v, want %s and a sentence", e, r.code)
	}
	if e := page.closed(r.close); e.Reason == "" {
		t.Error("closed without a reason")
	}
	page.quiet()
}

func TestRefusals(t *testing.T) {
	n := dev(t)
	each(t, func(t *testing.T, k kind) {
		good := n.token(t, "alice", time.Hour)
		t.Run("token", func(t *testing.T) {
			head, signature, _ := cutLast(good, ".")
			for name, token := range map[string]string{
				"none":               "",
				"not a token":        "bad",
				"a wrong signature":  head + "." + strings.Repeat("A", len(signature)),
				"without its ending": head + ".",
			} {
				t.Run(name, func(t *testing.T) {
					refusal{status: 401, code: "unauthorized", close: 4001}.check(t, k, n.url, token, "phone")
				})
			}
		})
		t.Run("parameter", func(t *testing.T) {
			refused := refusal{status: 400, code: "bad_parameter", close: 4000}
			refused.check(t, k, n.url, good, strings.Repeat("x", 65))
			refused.check(t, k, n.url, good, "phone", parameter("start", "last:1001"))
			refused.check(t, k, n.url, good, "phone", parameter("overflow", "drop"))
		})
		t.Run("cursor", func(t *testing.T) {
			home := backplane.PartitionOf("alice", partitions)
			for code, at := range map[string]backplane.Position{
				"bad_cursor":     {Generation: 1, Partition: (home + 1) % partitions, Offset: 0}, // of another user
				"unknown_cursor": {Generation: 1, Partition: home, Offset: 1 << 40},              // the log has not come so far
			} {
				refusal{status: 400, code: code, close: 4000}.check(t, k, n.url, good, "phone",
					parameter("cursor", string(codec.AppendCursor(nil, at))))
			}
		})
	})
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// TestBadFrames sends what no client should. What can be told apart from the next
// frame is answered, and the connection goes on; the rest ends it.
func TestBadFrames(t *testing.T) {
	n := dev(t)
	each(t, func(t *testing.T, k kind) {
		alice, bob := "alice-"+k.String(), "bob-"+k.String()
		d, good := n.connect(t, k, alice, "phone"), n.connect(t, k, bob, "phone")

		own, other := "text", "binary" // messages of the agreed subprotocol, and not
		if k.encoding == "proto" {
			own, other = other, own
		}
		broken := map[string]any{"base64": "e30gew=="} // "{} {"
		d.do(own, broken)
		d.answeredBy("bad_frame", "unknown_type")
		d.do(other, map[string]any{"base64": "e30="}) // "{}"
		d.answeredBy("bad_frame")

		d.send("m1", "for nobody")
		d.acked("m1", "rejected", "no_recipients")
		d.send("m2", "for me", alice)
		d.acked("m2", "rejected", "recipient_is_sender")
		d.send("m3", strings.Repeat("x", 65537), bob)
		d.acked("m3", "rejected", "body_too_large")

		d.stored("m4", strings.Repeat("x", 65536), bob)
		if got := good.frame("deliver"); got.ID != "m4" || len(deref(got.Text)) != 65536 {
			t.Errorf("bob gets %s of %d bytes, want m4 of 65536", got.ID, len(deref(got.Text)))
		}

		t.Log("messages that end the connection")
		d.do("text", map[string]any{"base64": "Iv8i"}) // a byte that is no UTF-8
		if e := d.closed(1007); e.Reason == "" {
			t.Error("closed without a reason")
		}
		d = n.connect(t, k, alice, "phone")
		d.do(own, map[string]any{"text": strings.Repeat(" ", 1<<20)})
		if e := d.closed(1009); e.Reason == "" {
			t.Error("closed without a reason")
		}

		good.stored("m5", "still here", alice)
	})
}

// answeredBy takes an error frame with one of some codes.
func (d *device) answeredBy(codes ...string) {
	d.t.Helper()
	e := d.frame("error")
	if e.Message == "" {
		d.t.Errorf("error without a message: %+v", e)
	}
	for _, code := range codes {
		if e.Code == code {
			return
		}
	}
	d.t.Errorf("error %s (%s), want one of %v", e.Code, e.Message, codes)
}
