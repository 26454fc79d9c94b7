package session

import (
	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// history has a page of the timeline read. A place for the answer is reserved.
func (s *Session) history(l *Loop, f *codec.History) {
	if s.draining || l.draining {
		s.refusePage(l, f.ID, backplane.CodeShutdown)
		return
	}
	if s.limited() {
		s.refusePage(l, f.ID, codec.CodeRateLimited)
		return
	}
	h := &codec.History{ID: append([]byte(nil), f.ID...), Limit: f.Limit, Peer: append([]byte(nil), f.Peer...)}
	r := &Reading{Kind: ReadPage, Limit: f.Limit, Bytes: codec.PageBytes, History: h, After: -1, Before: -1, Around: -1}
	generation := l.deps.Tails.End(s.partition).Generation
	for _, c := range []struct {
		text []byte
		to   *int64
	}{{f.After, &r.After}, {f.Before, &r.Before}, {f.Around, &r.Around}} {
		if len(c.text) == 0 {
			continue
		}
		offset, code := codec.ResolveCursor(c.text, generation, s.partition)
		if code != "" {
			s.refusePage(l, f.ID, code)
			return
		}
		*c.to = offset
	}
	h.After, h.Before, h.Around = clone(f.After), clone(f.Before), clone(f.Around)
	if !s.read(l, r) {
		s.refusePage(l, f.ID, backplane.CodeOverloaded)
	}
}

func clone(b []byte) []byte { return append([]byte(nil), b...) }

// page puts a page that was read on the connection.
func (s *Session) page(l *Loop, r *Reading) {
	if r.Code != "" {
		s.refusePage(l, r.History.ID, r.Code)
		return
	}
	if s.state != stateOpen {
		s.answers--
		return
	}
	s.push(l, entry{kind: kindAnswer, frame: r.Page})
	r.Page = nil
}

func (s *Session) refusePage(l *Loop, id []byte, code backplane.Code) {
	if s.state != stateOpen {
		s.answers--
		return
	}
	s.push(l, s.frameEntry(l, kindAnswer, func(dst []byte) []byte { return codec.AppendPageRefusal(dst, s.encoding, id, code) }))
}
