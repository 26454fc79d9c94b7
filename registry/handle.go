package registry

import "fmt"

// Handle names a connection: the loop that owns it, its slot there, and the
// slot's generation, which changes each time the slot is used again. It also
// carries the connection's encoding, so that whoever prepares a frame knows
// which variants are wanted without asking the connection.
//
// From the top: 10 bits loop, 22 bits slot, 31 bits generation, 1 bit encoding.
type Handle uint64

const (
	encodingBits   = 1
	generationBits = 31
	slotBits       = 22
	loopBits       = 10

	// MaxLoops is how many loops a handle can tell apart.
	MaxLoops = 1 << loopBits
	// MaxSlots is how many connections of one loop a handle can tell apart.
	MaxSlots = 1 << slotBits

	generationMask = 1<<generationBits - 1
)

// MakeHandle returns the handle of a slot. The generation is taken modulo 2^31:
// for a stale handle to be taken for a new one, its slot would have to be used
// again that often while the handle waits in a queue.
func MakeHandle(loop, slot int, generation uint32) Handle {
	if uint(loop) >= MaxLoops || uint(slot) >= MaxSlots {
		panic(fmt.Sprintf("registry: no handle for loop %d, slot %d", loop, slot))
	}
	return Handle(loop)<<(slotBits+generationBits+encodingBits) |
		Handle(slot)<<(generationBits+encodingBits) |
		Handle(generation&generationMask)<<encodingBits
}

// WithEncoding returns the handle for a connection that speaks encoding e, 0 or 1.
func (h Handle) WithEncoding(e uint8) Handle { return h&^1 | Handle(e&1) }

// Loop returns the index of the loop that owns the connection.
func (h Handle) Loop() int { return int(h >> (slotBits + generationBits + encodingBits)) }

// Slot returns the connection's slot in its loop.
func (h Handle) Slot() int { return int(h>>(generationBits+encodingBits)) & (MaxSlots - 1) }

// Generation returns the slot's generation, modulo 2^31.
func (h Handle) Generation() uint32 { return uint32(h>>encodingBits) & generationMask }

// Encoding returns the encoding that the connection speaks, 0 or 1.
func (h Handle) Encoding() uint8 { return uint8(h & 1) }
