package workload

import (
	"math/rand/v2"
	"time"
)

// misdeed is a kind of deed.
type misdeed uint8

const (
	dawdle misdeed = iota // reads slowly
	ignore                // does not read
	cut                   // ends the connection without a goodbye
	leave                 // stays away
	goBack                // connects with an older cursor
	forget                // connects without a cursor
	browse                // reads history
)

// deed is what a device does beside sending and reading.
type deed struct {
	what   misdeed
	after  time.Duration // the one before has ended
	lasts  time.Duration // dawdle, ignore, leave
	pace   int           // dawdle: in bytes a second
	abrupt bool          // leave, goBack, forget: without a goodbye
	steps  int           // goBack: how many cursors
	newest int           // forget: start=last:N; 0 is live
	browse browsing      // browse
}

// browsing is which history to read.
type browsing struct {
	way    int // 0 the newest, 1 before a cursor, 2 after one, 3 around one
	steps  int // which cursor: how many before the latest
	limit  int // 0 leaves it to the server
	peer   int // a user, or -1 for all
	onward bool
}

// habit chooses the deeds of a device. One goroutine calls it.
type habit struct {
	rand    *rand.Rand
	users   int
	popular bool // it is the device of a popular user, which often does not read
}

// next chooses the next deed. It takes the same number of choices whatever the deed is.
func (h *habit) next() deed {
	r := h.rand
	d := deed{
		after:  time.Second + upTo(r, 12*time.Second),
		lasts:  (2*time.Second + upTo(r, 12*time.Second)) << (r.IntN(4) / 3),
		pace:   500 << r.IntN(6),
		abrupt: r.IntN(2) == 0,
		steps:  1 + r.IntN(1+r.IntN(remembered)),
		newest: r.IntN(2) * (1 + r.IntN(100)),
		browse: browsing{way: r.IntN(4), steps: r.IntN(remembered), limit: r.IntN(pageSize + 1), peer: r.IntN(2*h.users) - h.users, onward: r.IntN(2) == 0},
	}
	d.browse.peer = max(d.browse.peer, -1)
	deaf := r.IntN(2) == 0
	switch k := r.IntN(20); {
	case h.popular && deaf:
		d.what, d.lasts = ignore, 2*d.lasts // so that some of it is dropped
	case k < 3:
		d.what = dawdle
	case k < 6:
		d.what = ignore
	case k < 10:
		d.what = cut
	case k < 13:
		d.what = leave
	case k < 16:
		d.what = goBack
	case k < 18:
		d.what = forget
	default:
		d.what = browse
	}
	return d
}
