package delivery

import "sync/atomic"

// Memory counts the bytes that clients make a node hold: all frames, each once however
// many connections hold it, and unfinished messages, against a budget.
//
// The budget does not stop a frame from being made: what is in the mailboxes is
// bounded by them, and a frame that is written at once is gone at once. It
// bounds what waits: over budget, a connection may keep only a few frames
// waiting (see package session), so those who hold most lose first.
type Memory struct {
	max  int64
	used atomic.Int64
}

// NewMemory returns an account with a budget of max bytes.
func NewMemory(max int64) *Memory { return &Memory{max: max} }

// Add counts n bytes that are no frame's, or with a negative n that are no more:
// parts of messages that clients have not finished.
func (m *Memory) Add(n int) { m.used.Add(int64(n)) }

// Over reports whether the frames use more than the budget.
func (m *Memory) Over() bool { return m.used.Load() > m.max }

// Used returns the bytes of all frames.
func (m *Memory) Used() int64 { return m.used.Load() }

// Max returns the budget in bytes.
func (m *Memory) Max() int64 { return m.max }
