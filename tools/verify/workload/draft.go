package workload

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
	"github.com/godwit-im/godwit/tools/verify/wire"
)

// draft is a message that a device wants to send, and what it will do about its outcome.
type draft struct {
	id    string
	users []int // the recipients, of a message that can be stored
	to    []string
	kind  wire.Kind
	ttl   time.Duration
	body  []byte

	faulty bool          // it must be rejected
	large  bool          // it has a body of many KB
	gives  bool          // it is not sent again when that would be due
	repeat bool          // it is sent again though it was stored
	pauses time.Duration // before that
}

// must reports whether the message has to come to all devices once it is stored.
func (d *draft) must() bool { return d.kind != wire.KindSignal && d.ttl == 0 && !d.faulty }

// twinEvery is how often a message is a twin: the n-th of every device has the same
// content, and the same recipients but for the sender, if n is a multiple of it.
const twinEvery = 4

// writer drafts the messages of a device. One goroutine calls it.
type writer struct {
	people *population
	user   int
	device character
	rand   *rand.Rand
	n      int
}

// next drafts the next message. body is the most bytes that the server takes.
func (w *writer) next(body int) *draft {
	w.n++
	d := &draft{
		id:     fmt.Sprint("m", w.n),
		gives:  w.rand.IntN(8) == 0,
		repeat: w.rand.IntN(32) == 0,
		pauses: upTo(w.rand, 3*time.Second),
	}
	faulty := w.rand.IntN(64) == 0
	if w.n%twinEvery == 0 && !faulty {
		w.content(w.people.rand("twins", w.n), w.n, d)
	} else {
		w.content(w.rand, w.user, d)
	}
	if faulty {
		w.spoil(d, body)
	}
	for _, u := range d.users {
		d.to = append(d.to, w.people.names[u])
	}
	if len(d.body) > body && !d.faulty {
		d.body = d.body[:body]
	}
	return d
}

// content chooses the recipients, some of those that follow near among them, and the rest.
func (w *writer) content(r *rand.Rand, near int, d *draft) {
	n := 1
	if k := r.IntN(10); k >= 6 {
		n = 2 + r.IntN(maxRecipients-1)*(k-6)/3
	}
	d.users = w.people.recipients(r, w.user, near, n)
	popular := false
	for _, u := range d.users {
		popular = popular || u < w.people.popular
	}
	switch r.IntN(20) {
	case 0, 1:
		d.kind = wire.KindSignal
	case 2:
		d.ttl = time.Second << r.IntN(10)
	}
	size := 0
	switch k := r.IntN(200); {
	case k == 0:
		size, d.large = 16<<10+r.IntN(40<<10), true
	case popular:
		size = r.IntN(6 << 10)
	case k < 20:
	case k < 150:
		size = 1 + r.IntN(200)
	default:
		size = 200 + r.IntN(2<<10)
	}
	d.body = newBody(r, size)
}

// spoil makes a message that a server must reject, in a way that does not cost the
// connection. A program cannot get all of them past its client.
func (w *writer) spoil(d *draft, body int) {
	d.faulty, d.large, d.repeat = true, false, false
	ways := 6
	if w.device.format == wire.JSON {
		ways++ // the other encoding has numbers for kinds
	}
	if !w.device.wire {
		ways = 1
	}
	switch w.rand.IntN(ways) {
	case 0:
		d.to = append(d.to, w.people.names[w.user])
	case 1:
		d.to = append(d.to, w.people.names[d.users[0]])
	case 2:
		for i := range 65 {
			d.to = append(d.to, fmt.Sprint("nobody", i))
		}
	case 3:
		d.to = append(d.to, strings.Repeat("x", 129))
	case 4:
		d.ttl = 366 * 24 * time.Hour
	case 5:
		d.body = newBody(w.rand, body+1)
	case 6:
		d.kind = "shout"
	}
}

// newBody makes a body: of text, with what JSON has to escape in it, or of any bytes.
func newBody(r *rand.Rand, size int) []byte {
	const text = "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ.\"\\\n\t</&0123"
	b := make([]byte, size)
	any := r.IntN(3) == 0
	var bits uint64
	for i := range b {
		if i%8 == 0 {
			bits = r.Uint64()
		}
		if b[i] = byte(bits >> (i % 8 * 8)); !any {
			b[i] = text[int(b[i])%len(text)]
		}
	}
	if !any && size > 8 {
		copy(b[size/2:], "é\u2028") // five bytes of UTF-8
	}
	return b
}

// upTo chooses a duration below d.
func upTo(r *rand.Rand, d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }

// eventKind is the kind in events. A kind that there is not counts as a message.
func eventKind(k wire.Kind) event.Kind {
	if k == wire.KindSignal {
		return event.Signal
	}
	return event.Ordinary
}
