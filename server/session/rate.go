package session

import "sync/atomic"

// Rate is how many frames a client may send: so many per second, in bursts. It may be
// changed while sessions go by it. A nil Rate is no limit.
type Rate struct {
	packed atomic.Uint64 // per second in the upper half, the burst in the lower
}

// NewRate returns a Rate; 0 per second is no limit.
func NewRate(perSecond, burst int) *Rate {
	r := new(Rate)
	r.Set(perSecond, burst)
	return r
}

// Set changes the rate. Any goroutine may call it.
func (r *Rate) Set(perSecond, burst int) {
	r.packed.Store(uint64(uint32(perSecond))<<32 | uint64(uint32(burst)))
}

func (r *Rate) load() (perSecond, burst uint32) {
	if r == nil {
		return 0, 0
	}
	v := r.packed.Load()
	return uint32(v >> 32), uint32(v)
}
