package session

import (
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// TestAckAndCopyTogether: of the ack and the sender's own copy, the first is held until
// the second comes, whichever that is; what others send does not wait.
func TestAckAndCopyTogether(t *testing.T) {
	r := newRig(t)
	alice := r.connect("alice", codec.JSON)
	alice.blocked = true
	stored := backplane.Outcome{Status: backplane.Stored, Time: start}
	offset := int64(-1)
	copied := func(body string) {
		offset++
		r.record(offset, text("alice", "bob", body), alice.s.id, "alice", "bob")
	}
	held := func(want bool, when string) {
		t.Helper()
		if alice.s.Held() != want {
			t.Errorf("%s: held is %v", when, !want)
		}
	}
	written := func() {
		alice.blocked = false
		alice.pump()
		alice.blocked = true
		for len(alice.frames) > 0 {
			alice.next()
		}
	}

	alice.send("1", "bob", "one")
	r.answer(0, stored)
	held(true, "an ack")
	copied("one")
	held(false, "an ack and its copy")
	written()

	alice.send("2", "bob", "two")
	copied("two")
	held(true, "a copy")
	r.answer(1, stored)
	held(false, "a copy and its ack")
	written()

	alice.send("3", "bob", "three")
	r.answer(2, stored)
	offset++
	r.record(offset, text("bob", "alice", "hello"), 0, "alice", "bob")
	held(false, "an ack and another's message")
	written()
	copied("three")
	held(false, "the copy of an ack that is written")
	written()

	alice.send("4", "bob", "four")
	r.answer(3, backplane.Outcome{Status: backplane.Unknown, Code: backplane.CodeTimeout})
	held(false, "an ack that no copy may follow")
	written()

	alice.send("5", "bob", "five")
	r.answer(4, stored)
	held(true, "an ack")
	alice.s.Unhold()
	held(false, "an ack that has waited long enough")
	written()
	copied("five")
	held(true, "a copy whose ack is not known of any more")
}
