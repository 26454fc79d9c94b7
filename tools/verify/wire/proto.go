package wire

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// protoFields are the fields of a protobuf message.
type protoFields struct {
	where string // of which frame, for findings
	found *findings
	list  []protoField
}

// protoField is a varint or bytes: no field of the schema is anything else.
type protoField struct {
	number protowire.Number
	kind   protowire.Type
	varint uint64
	bytes  []byte
	taken  bool
}

// protoFrame takes a ServerFrame apart, and returns which frame it is.
func protoFrame(message []byte, found *findings) (name string, f fields) {
	top, ok := protoMessage("a frame", message, found)
	if !ok {
		return "", nil
	}
	for member, number := range frameNumbers {
		if !top.has("", number) {
			continue
		}
		if len(top.list) > 1 {
			top.note("has fields of several frames")
		}
		return member, top.part(member, number)
	}
	if len(top.list) == 0 || top.list[0].number > 5 {
		top.note("is none that the protocol knows")
		return "", nil
	}
	top.where = "deliver"
	return top.where, top
}

// protoMessage parses a message whose schema has only varints and bytes.
func protoMessage(where string, b []byte, found *findings) (*protoFields, bool) {
	p := &protoFields{where: where, found: found}
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			p.note("is no protobuf: %v", protowire.ParseError(n))
			return p, false
		}
		b = b[n:]
		f := protoField{number: number, kind: kind}
		switch kind {
		case protowire.VarintType:
			f.varint, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(b)
		default:
			p.note("has field %d of wire type %d", number, kind)
			n = protowire.ConsumeFieldValue(number, kind, b)
			f.taken = true
		}
		if n < 0 {
			p.note("is no protobuf: %v", protowire.ParseError(n))
			return p, false
		}
		b = b[n:]
		p.list = append(p.list, f)
	}
	return p, true
}

func (p *protoFields) note(format string, args ...any) {
	p.found.add(RuleEncoding, p.where+" "+format, args...)
}

func (p *protoFields) has(_ string, number protowire.Number) bool {
	for i := range p.list {
		if p.list[i].number == number {
			return true
		}
	}
	return false
}

// all returns the fields of a number, and notes those of another wire type.
func (p *protoFields) all(number protowire.Number, kind protowire.Type) (all []*protoField) {
	for i := range p.list {
		f := &p.list[i]
		if f.number != number || f.taken {
			continue
		}
		f.taken = true
		if f.kind != kind {
			p.note("has field %d of wire type %d", number, f.kind)
			continue
		}
		all = append(all, f)
	}
	return all
}

// one returns the field of a number, or nil.
func (p *protoFields) one(number protowire.Number, kind protowire.Type) *protoField {
	all := p.all(number, kind)
	if len(all) == 0 {
		return nil
	}
	if len(all) > 1 {
		p.note("has field %d several times", number)
	}
	return all[len(all)-1]
}

func (p *protoFields) utf8(number protowire.Number, b []byte) string {
	if !utf8.Valid(b) {
		p.note("has a field %d that is not valid UTF-8", number)
	}
	return string(b)
}

func (p *protoFields) text(_ string, number protowire.Number) string {
	f := p.one(number, protowire.BytesType)
	if f == nil {
		return ""
	}
	return p.utf8(number, f.bytes)
}

func (p *protoFields) texts(_ string, number protowire.Number) (texts []string) {
	for _, f := range p.all(number, protowire.BytesType) {
		texts = append(texts, p.utf8(number, f.bytes))
	}
	return texts
}

func (p *protoFields) number(_ string, number protowire.Number) uint64 {
	f := p.one(number, protowire.VarintType)
	if f == nil {
		return 0
	}
	if f.varint >= maxNumber {
		p.note("has a number in field %d that is not below 2^53: %d", number, f.varint)
		return 0
	}
	return f.varint
}

func (p *protoFields) flag(name string, number protowire.Number) bool {
	n := p.number(name, number)
	if n > 1 {
		p.note("has a bool in field %d that is %d", number, n)
	}
	return n != 0
}

func (p *protoFields) enum(name string, number protowire.Number, values ...string) string {
	n := p.number(name, number)
	if n >= uint64(len(values)) {
		p.note("has the unknown %s %d", name, n)
		return values[0]
	}
	return values[n]
}

func (p *protoFields) messageID(name string, number protowire.Number) (id MessageID) {
	f := p.one(number, protowire.BytesType)
	if f == nil {
		return id
	}
	if len(f.bytes) != len(id) {
		p.note("has a %s of %d bytes", name, len(f.bytes))
		return id
	}
	return MessageID(f.bytes)
}

func (p *protoFields) body(_ string, number protowire.Number) []byte {
	f := p.one(number, protowire.BytesType)
	if f == nil {
		return nil
	}
	if p.list[len(p.list)-1].number != number {
		p.note("does not have its body last")
	}
	return f.bytes
}

func (p *protoFields) part(name string, number protowire.Number) fields {
	f := p.one(number, protowire.BytesType)
	if f == nil {
		return &protoFields{where: name, found: p.found}
	}
	part, _ := protoMessage(name, f.bytes, p.found)
	return part
}

func (p *protoFields) parts(name string, number protowire.Number) (parts []fields) {
	for _, f := range p.all(number, protowire.BytesType) {
		part, _ := protoMessage(p.where+"."+name, f.bytes, p.found)
		parts = append(parts, part)
	}
	return parts
}

func (p *protoFields) stored(number protowire.Number) fields {
	return p.part(p.where+".message", number)
}

func (p *protoFields) end() {
	for _, f := range p.list {
		if !f.taken {
			p.note("has the unknown field %d", f.number)
		}
	}
}

// The numbers of the fields of a ClientFrame.
const (
	protoSend    protowire.Number = 1
	protoRefresh protowire.Number = 2
	protoPing    protowire.Number = 3
	protoHistory protowire.Number = 4
)

// encodeProto encodes a *Send, a *History, a refresh or a ping.
func encodeProto(frame any) []byte {
	var b []byte
	var number protowire.Number
	text := func(n protowire.Number, s string) {
		if s != "" {
			b = protowire.AppendTag(b, n, protowire.BytesType)
			b = protowire.AppendString(b, s)
		}
	}
	varint := func(n protowire.Number, v uint64) {
		if v != 0 {
			b = protowire.AppendTag(b, n, protowire.VarintType)
			b = protowire.AppendVarint(b, v)
		}
	}
	switch f := frame.(type) {
	case *Send:
		number = protoSend
		text(1, f.ID)
		for _, to := range f.To {
			b = protowire.AppendTag(b, 2, protowire.BytesType)
			b = protowire.AppendString(b, to) // an empty one is a recipient too
		}
		text(3, string(f.Body))
		if f.Kind == KindSignal {
			varint(4, 1)
		}
		varint(5, f.TTL)
	case *History:
		number = protoHistory
		text(1, f.ID)
		text(2, f.After)
		text(3, f.Before)
		text(4, f.Around)
		varint(5, uint64(f.Limit))
		text(6, f.Peer)
	case refresh:
		number = protoRefresh
		text(1, string(f))
	case ping:
		number = protoPing
	}
	frameBytes := protowire.AppendTag(nil, number, protowire.BytesType)
	return protowire.AppendBytes(frameBytes, b)
}
