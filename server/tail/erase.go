package tail

// Erase tells that the record at offset erases the timeline of a user up to
// there. What the tail has of the user is hidden from then on; its memory is freed
// with the records, which may be others' too. The erasure is remembered, for those who read
// what stands before the tail, until Begin or the end of the tail.
func (t *Tail) Erase(user []byte, offset int64) {
	hash := hashUser(user)
	t.mu.Lock()
	defer t.mu.Unlock()
	if place := t.find(hash, user); place >= 0 {
		t.users.remove(place)
	}
	t.mark(string(user), offset)
	t.end.Store(offset)
	t.settle()
}

// Erased returns the offset of the last erasure of a user that the tail remembers, -1
// if it has none: everything in the user's timeline up to there is hidden.
//
// An erasure whose duplicates are not known (see Begin) counts, though a retry of one
// whose first copy stands before the tail then hides more than history does.
func (t *Tail) Erased(user []byte) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.erasedUpTo(user)
}

// erasedUpTo is Erased while t.mu is held.
func (t *content) erasedUpTo(user []byte) int64 {
	if at, ok := t.erased[string(user)]; ok {
		return at
	}
	return -1
}

// ErasuresFrom returns the offset from which on the tail remembers every user's last erasure,
// math.MaxInt64 if it has not begun. It moves up when there are more than it may remember.
func (t *Tail) ErasuresFrom() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.erasedFrom
}

// mark remembers an erasure.
func (t *content) mark(user string, offset int64) {
	if _, ok := t.erased[user]; !ok {
		if len(t.erased) == maxErasures {
			forgotten := t.furthestBack()
			t.erasedFrom = max(t.erasedFrom, t.erased[forgotten]+1)
			t.unmark(forgotten)
		}
		if t.erased == nil {
			t.erased = make(map[string]int64)
		}
		t.erasedBytes += int64(len(user)) + erasureSize
	}
	t.erased[user] = offset
}

// unmark forgets a user's erasure.
func (t *content) unmark(user string) {
	delete(t.erased, user)
	t.erasedBytes -= int64(len(user)) + erasureSize
	if len(t.erased) == 0 {
		t.erased = nil // a map does not shrink
	}
}

// furthestBack returns the user whose erasure stands before all others.
func (t *content) furthestBack() (user string) {
	first := int64(-1)
	for u, at := range t.erased {
		if first < 0 || at < first {
			user, first = u, at
		}
	}
	return user
}
