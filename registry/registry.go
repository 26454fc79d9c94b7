package registry

import (
	"slices"
	"sync"

	"github.com/godwit-im/godwit/backplane"
)

// stripes is the number of locks. With some hundred, the dispatch workers and
// the loops of any machine seldom meet at one.
const stripes = 256

// Registry maps users to the handles of their connections. The zero value is
// not usable; see New.
type Registry struct {
	stripe [stripes]stripe
}

type stripe struct {
	mu struct {
		sync.RWMutex
		users       map[string]devices
		connections int
	}
	_ [64]byte // the next stripe's lock is on another cache line
}

// devices are the handles of one user. Nearly every user has one connection,
// so the first handle is in the map itself.
type devices struct {
	first Handle
	more  *[]Handle // the others, nil when there are none
}

// New returns an empty registry.
func New() *Registry {
	r := new(Registry)
	for i := range r.stripe {
		r.stripe[i].mu.users = make(map[string]devices)
	}
	return r
}

func stripeOf[T ~string | ~[]byte](r *Registry, user T) *stripe {
	// The top bits: the low ones choose the partition, and a node that owns few
	// partitions would use few stripes.
	return &r.stripe[backplane.HashUser(user)>>24%stripes]
}

// Add registers a connection of a user. Adding a handle twice is the same as once.
func (r *Registry) Add(user string, h Handle) {
	s := stripeOf(r, user)
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.mu.users[user]
	switch {
	case !ok:
		d.first = h
	case d.first == h, d.more != nil && slices.Contains(*d.more, h):
		return
	case d.more == nil:
		d.more = &[]Handle{h}
	default:
		*d.more = append(*d.more, h)
	}
	s.mu.users[user] = d
	s.mu.connections++
}

// Remove takes a connection of a user out and reports whether it was there.
func (r *Registry) Remove(user string, h Handle) bool {
	s := stripeOf(r, user)
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.mu.users[user]
	if !ok {
		return false
	}
	var rest []Handle
	if d.more != nil {
		rest = *d.more
	}
	switch i := slices.Index(rest, h); {
	case i >= 0:
		// Order does not matter: the last takes the place.
		rest[i] = rest[len(rest)-1]
		rest = rest[:len(rest)-1]
	case d.first != h:
		return false
	case len(rest) == 0:
		delete(s.mu.users, user)
		s.mu.connections--
		return true
	default:
		d.first = rest[len(rest)-1]
		rest = rest[:len(rest)-1]
	}
	if len(rest) == 0 {
		d.more = nil
	} else {
		*d.more = rest
	}
	s.mu.users[user] = d
	s.mu.connections--
	return true
}

// Append appends the handles of a user's connections to dst, in no order. It
// allocates only when dst has no room.
func (r *Registry) Append(dst []Handle, user []byte) []Handle {
	s := stripeOf(r, user)
	s.mu.RLock()
	d, ok := s.mu.users[string(user)]
	if ok {
		dst = append(dst, d.first)
		if d.more != nil {
			dst = append(dst, *d.more...)
		}
	}
	s.mu.RUnlock()
	return dst
}

// Stripes is into how many parts Walk divides the registry.
const Stripes = stripes

// Walk calls f for each connection of a part of the registry, 0 to Stripes-1. It holds a
// lock meanwhile, so f must not wait for anything, nor use the registry.
func (r *Registry) Walk(part int, f func(user string, h Handle)) {
	s := &r.stripe[part]
	s.mu.RLock()
	defer s.mu.RUnlock()
	for user, d := range s.mu.users {
		f(user, d.first)
		if d.more != nil {
			for _, h := range *d.more {
				f(user, h)
			}
		}
	}
}

// Len returns the numbers of users and of connections. It takes each lock in
// turn, so under changes it is an estimate.
func (r *Registry) Len() (users, connections int) {
	for i := range r.stripe {
		s := &r.stripe[i]
		s.mu.RLock()
		users += len(s.mu.users)
		connections += s.mu.connections
		s.mu.RUnlock()
	}
	return users, connections
}
