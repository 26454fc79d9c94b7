package tail

import "unsafe"

// ring is a queue whose elements have numbers: the first that is pushed after next
// has that number, and an element keeps its number for as long as it is there.
// Numbers wrap at 2^32, which does no harm because a ring holds far fewer elements.
type ring[T any] struct {
	items       []T // a power of two of them, or none
	first, next uint32
}

// at returns the element of a number that the ring has.
func (r *ring[T]) at(number uint32) *T { return &r.items[number&uint32(len(r.items)-1)] }

// has reports whether a number is one of the elements'.
func (r *ring[T]) has(number uint32) bool { return number-r.first < r.next-r.first }

func (r *ring[T]) len() int { return int(r.next - r.first) }

// push puts an element behind the others.
func (r *ring[T]) push(v T) {
	if r.len() == len(r.items) {
		r.resize(max(minSize, 2*len(r.items)))
	}
	r.next++
	*r.at(r.next - 1) = v
}

// pop drops the first element. The ring gives memory back when it is a quarter
// full, so that it neither keeps what a burst needed nor moves its elements often.
func (r *ring[T]) pop() {
	var zero T
	*r.at(r.first) = zero
	r.first++
	switch n := r.len(); {
	case n == 0:
		r.items = nil
	case n <= len(r.items)/4 && len(r.items) > minSize:
		r.resize(len(r.items) / 2)
	}
}

// clear drops all elements. Their numbers are not used again.
func (r *ring[T]) clear() { r.items, r.first = nil, r.next }

func (r *ring[T]) resize(size int) {
	old := *r
	r.items = make([]T, size)
	for number := r.first; number != r.next; number++ {
		*r.at(number) = *old.at(number)
	}
}

// bytes returns the memory of the ring, in bytes.
func (r *ring[T]) bytes() int64 {
	var v T
	return int64(len(r.items)) * int64(unsafe.Sizeof(v))
}
