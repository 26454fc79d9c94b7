package delivery

import "sync/atomic"

// Memory counts the bytes of all frames of a node, each frame once however many
// connections hold it, against a budget.
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

// Over reports whether the frames use more than the budget.
func (m *Memory) Over() bool { return m.used.Load() > m.max }

// Used returns the bytes of all frames.
func (m *Memory) Used() int64 { return m.used.Load() }

// Max returns the budget in bytes.
func (m *Memory) Max() int64 { return m.max }
