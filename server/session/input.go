package session

import (
	"errors"

	"github.com/valyala/bytebufferpool"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/buffer"
	"github.com/godwit-im/godwit/codec/ws"
)

// input is what a client has sent of something that is not complete. Most of the time
// a client has sent whole frames, and its session has no input.
type input struct {
	reader  ws.Reader
	held    uint32                     // bytes of memory that reader holds
	since   uint32                     // when what is incomplete began, in seconds
	request *bytebufferpool.ByteBuffer // a request that is incomplete or not yet answered; else nil
}

// keepSpare bounds the loop's free lists of inputs and outputs.
const keepSpare = 1024

func (l *Loop) takeInput() *input {
	if n := len(l.inputs); n > 0 {
		in := l.inputs[n-1]
		l.inputs = l.inputs[:n-1]
		return in
	}
	return new(input)
}

// appendRequest keeps a part of the request, and returns what there is of it.
func (s *Session) appendRequest(l *Loop, p []byte) []byte {
	if s.input == nil {
		s.input = l.takeInput()
	}
	s.input.request = buffer.Append(s.input.request, p)
	return s.input.request.B
}

// requested returns what is kept of the request.
func (s *Session) requested() []byte {
	if s.input == nil || s.input.request == nil {
		return nil
	}
	return s.input.request.B
}

// answeredRequest gives the memory of the request back.
func (s *Session) answeredRequest(l *Loop) {
	if s.input != nil && s.input.request != nil {
		buffer.Give(s.input.request)
		s.input.request = nil
	}
	s.settleInput(l)
}

// settleInput gives the input back if nothing is incomplete.
func (s *Session) settleInput(l *Loop) {
	in := s.input
	if in == nil || in.request != nil || !in.reader.Idle() {
		return
	}
	l.deps.Memory.Add(-int(in.held))
	s.input, *in = nil, input{}
	if len(l.inputs) < keepSpare {
		l.inputs = append(l.inputs, in)
	}
}

// dropInput gives everything back, complete or not.
func (s *Session) dropInput(l *Loop) {
	if s.input != nil {
		s.input.reader.Release()
		s.input.reader = ws.Reader{}
		s.answeredRequest(l)
	}
}

// frames takes bytes of frames. While nothing is incomplete they go through a reader
// that all sessions of the loop share.
func (s *Session) frames(l *Loop, p []byte) {
	r := &l.reader
	if s.input != nil {
		r = &s.input.reader
	}
	for first := true; s.state == stateOpen || s.state == stateClosing; first = false {
		ev, n, ok, err := r.Next(p, &l.frameLimits[s.encoding])
		if err != nil {
			var e *ws.Error
			errors.As(err, &e)
			l.Counters.BadFrames.Add(1)
			s.fail(l, codec.CloseCode(e.Code), string(e.Reason))
			break
		}
		if !ok {
			s.unfinished(l, r, !first)
			return
		}
		p = p[n:]
		s.event(l, ev)
	}
	r.Release()
	*r = ws.Reader{}
	s.settleInput(l)
}

// unfinished keeps what the reader has of something incomplete. began says that
// something was completed before it.
func (s *Session) unfinished(l *Loop, r *ws.Reader, began bool) {
	if r.Idle() {
		*r = ws.Reader{}
		s.settleInput(l)
		return
	}
	if s.input == nil {
		s.input, began = l.takeInput(), true
		s.input.reader = *r
		*r = ws.Reader{}
	}
	in := s.input
	if began || in.since == 0 {
		in.since = l.seconds()
	}
	held := in.reader.Buffered()
	l.deps.Memory.Add(held - int(in.held))
	in.held = uint32(held)
	if held > overBudgetBytes && l.deps.Memory.Over() {
		s.closeFor(l, backplane.CodeOverloaded, "the node has no room for a message that comes in parts")
	}
}
