package cassandra

import (
	"encoding/binary"
	"hash/maphash"
	"sync"
)

// written remembers which rows of the table bucket were written, so that most entries
// need not write theirs again. It forgets the older half when it is full.
//
// A row is known by 128 bits of hashes whose seeds nobody knows: a row that is taken for
// another one would not be written, and with it a bucket be lost.
type written struct {
	// Static.
	seeds [2]maphash.Seed
	limit int

	mu struct {
		sync.Mutex
		recent, older map[rowKey]struct{}
	}
}

type rowKey [2]uint64

func newWritten(limit int) *written {
	w := &written{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, limit: limit}
	w.forget()
	return w
}

// key returns the key of a row as it is written on a day: it is written again every day,
// to live as long as what it stands for.
func (w *written) key(generation uint32, user, peer []byte, bucket, day int64) rowKey {
	var b [32]byte
	binary.LittleEndian.PutUint32(b[0:], generation)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(user)))
	binary.LittleEndian.PutUint64(b[8:], uint64(bucket))
	binary.LittleEndian.PutUint64(b[16:], uint64(day))
	var k rowKey
	for i, seed := range w.seeds {
		var h maphash.Hash
		h.SetSeed(seed)
		h.Write(b[:])
		h.Write(user)
		h.Write(peer)
		k[i] = h.Sum64()
	}
	return k
}

func (w *written) has(k rowKey) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.mu.recent[k]; ok {
		return true
	}
	if _, ok := w.mu.older[k]; !ok {
		return false
	}
	w.add(k)
	return true
}

// put takes note of rows that Cassandra has.
func (w *written) put(keys []rowKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range keys {
		w.add(k)
	}
}

// add is called with the lock held.
func (w *written) add(k rowKey) {
	if len(w.mu.recent) >= w.limit/2 {
		w.mu.older, w.mu.recent = w.mu.recent, make(map[rowKey]struct{})
	}
	w.mu.recent[k] = struct{}{}
}

func (w *written) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.recent, w.mu.older = make(map[rowKey]struct{}), nil
}
