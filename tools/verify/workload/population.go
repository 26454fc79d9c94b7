package workload

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/godwit-im/godwit/tools/verify/wire"
)

// population says who there is. It is static.
type population struct {
	seed    uint64
	names   []string // of users
	popular int      // the first users are popular: much is sent to them, of which much is large
	quiet   int      // the last users are quiet: hardly anything is sent to them, or by them
}

// The shares of the users that are popular and quiet, one of so many.
const (
	perPopular = 100
	perQuiet   = 20
)

func newPopulation(o *Options) *population {
	p := &population{seed: o.Seed, names: make([]string, o.Users), popular: 1 + o.Users/perPopular, quiet: o.Users / perQuiet}
	for i := range p.names {
		p.names[i] = fmt.Sprintf("%su%d", o.Prefix, i)
	}
	return p
}

// isQuiet reports whether a user is one of the quiet.
func (p *population) isQuiet(user int) bool { return user >= len(p.names)-p.quiet }

// rand returns the source of choices for a purpose. Each has one of its own, so that how
// they interleave in time changes nothing.
func (p *population) rand(purpose string, numbers ...int) *rand.Rand {
	h := sha256.New()
	fmt.Fprintln(h, p.seed, purpose, numbers)
	sum := h.Sum(nil)
	return rand.New(rand.NewPCG(binary.BigEndian.Uint64(sum), binary.BigEndian.Uint64(sum[8:])))
}

// recipients chooses n different users, of whom the sender is none, as somebody chooses who
// often talks to the same few: those that follow near.
func (p *population) recipients(r *rand.Rand, sender, near, n int) []int {
	chosen := make([]int, 0, n)
	taken := map[int]bool{sender: true}
	for range min(n, len(p.names)-1) {
		u := p.recipient(r, near)
		for taken[u] {
			u = (u + 1) % len(p.names)
		}
		taken[u] = true
		chosen = append(chosen, u)
	}
	return chosen
}

// recipient chooses a user: a popular one, one of the few that follow near, or any.
func (p *population) recipient(r *rand.Rand, near int) int {
	ordinary := len(p.names) - p.quiet
	switch k := r.IntN(400); {
	case k == 0 && p.quiet > 0:
		return ordinary + r.IntN(p.quiet)
	case k < 50:
		return r.IntN(p.popular)
	case k < 220:
		return (near + 1 + r.IntN(3)) % ordinary
	default:
		return r.IntN(ordinary)
	}
}

// character is what a device is like for the whole run.
type character struct {
	wire      bool // it is the plain client
	format    wire.Format
	gaps      bool // overflow=gap
	origin    bool // it connects as from a page
	fragments int  // of its messages
	short     bool // its tokens are of a short life
	careless  bool // and it forgets to replace them
}

// characters chooses those of so many devices of each user, in the order of users. Half of
// all are plain; the popular users have one that asks for gaps.
func (p *population) characters(devices int) []character {
	r := p.rand("characters")
	all := make([]character, devices*len(p.names))
	order := r.Perm(len(all))
	for n, i := range order {
		c := &all[i]
		popular := i/devices < p.popular && i%devices == 0
		c.wire = n%2 == 0 || popular
		c.format = wire.JSON
		if n/2%2 == 0 {
			c.format = wire.Proto
		}
		c.gaps = c.wire && n/4%3 == 0 || popular
		c.origin = c.wire && r.IntN(8) == 0
		c.fragments = 1 + r.IntN(8)/6*r.IntN(4)
		c.short = r.IntN(4) == 0
		c.careless = c.short && r.IntN(2) == 0
	}
	return all
}
