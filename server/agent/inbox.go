package agent

import (
	"sync"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/kafkalog"
)

// inbox is what was read of the log and the agent's goroutine has not looked at. The
// goroutines that read fill it; it has no bound of its own because they read no more
// than the log has, and the agent never waits for anything.
type inbox struct {
	bell chan struct{} // has room for one ring

	mu      sync.Mutex
	changes []cluster.Change
	beats   []kafkalog.Heard
}

func newInbox() *inbox { return &inbox{bell: make(chan struct{}, 1)} }

func (b *inbox) ring() {
	select {
	case b.bell <- struct{}{}:
	default: // it rings already
	}
}

func (b *inbox) addChanges(changes []cluster.Change) {
	b.mu.Lock()
	b.changes = append(b.changes, changes...)
	b.mu.Unlock()
	b.ring()
}

func (b *inbox) addBeats(beats []kafkalog.Heard) {
	b.mu.Lock()
	b.beats = append(b.beats, beats...)
	b.mu.Unlock()
	b.ring()
}

// take empties the inbox.
func (b *inbox) take() (changes []cluster.Change, beats []kafkalog.Heard) {
	b.mu.Lock()
	defer b.mu.Unlock()
	changes, beats = b.changes, b.beats
	b.changes, b.beats = nil, nil
	return changes, beats
}
