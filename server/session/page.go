package session

import (
	"bytes"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// history has a page of the timeline read. A place for the answer is reserved.
func (s *Session) history(l *Loop, f *codec.History) {
	if code := s.leaving(l); code != "" {
		s.refusePage(l, f.ID, code)
		return
	}
	if s.limited() {
		s.refusePage(l, f.ID, codec.CodeRateLimited)
		return
	}
	if s.pages == maxPages || l.deps.Memory.Over() {
		s.refusePage(l, f.ID, backplane.CodeOverloaded)
		return
	}
	r, code := NewPage(f, l.deps.Tails.End(s.partition).Generation, s.partition)
	if code != "" {
		s.refusePage(l, f.ID, code)
		return
	}
	r.History = &codec.History{ // f is in the decoder's memory
		ID: bytes.Clone(f.ID), Limit: f.Limit, Peer: bytes.Clone(f.Peer),
		After: bytes.Clone(f.After), Before: bytes.Clone(f.Before), Around: bytes.Clone(f.Around),
	}
	if !s.read(l, r) {
		s.refusePage(l, f.ID, backplane.CodeOverloaded)
		return
	}
	s.pages++
}

// page puts a page that was read on the connection.
func (s *Session) page(l *Loop, r *Reading) {
	if r.Code != "" || s.state != stateOpen {
		s.pages--
		s.refusePage(l, r.History.ID, r.Code)
		return
	}
	s.push(l, entry{kind: kindPage, frame: r.Page})
	r.Page = nil
}

func (s *Session) refusePage(l *Loop, id []byte, code backplane.Code) {
	if s.state != stateOpen {
		s.answers--
		return
	}
	s.push(l, s.frameEntry(l, kindAnswer, func(dst []byte) []byte { return codec.AppendPageRefusal(dst, s.encoding, id, code) }))
}
