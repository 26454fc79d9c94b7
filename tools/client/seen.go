package client

import "github.com/godwit-im/godwit/backplane"

// seen knows the message ids of the last messages again, rememberedIDs of them. One
// goroutine owns it.
type seen struct {
	known map[backplane.MessageID]struct{}
	ring  []backplane.MessageID // in the order in which they came, from next on
	next  int
}

// add remembers an id and reports whether it was there already.
func (s *seen) add(id backplane.MessageID) (again bool) {
	if _, again := s.known[id]; again {
		return true
	}
	if s.known == nil {
		s.known = make(map[backplane.MessageID]struct{})
	}
	if len(s.ring) < rememberedIDs {
		s.ring = append(s.ring, id)
	} else {
		delete(s.known, s.ring[s.next])
		s.ring[s.next] = id
		s.next = (s.next + 1) % rememberedIDs
	}
	s.known[id] = struct{}{}
	return false
}
