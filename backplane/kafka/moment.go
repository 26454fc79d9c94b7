package kafka

import (
	"sync/atomic"
	"time"
)

// Moment is when something last happened. Any goroutine may call its methods; the zero
// value is not usable, see NewMoment.
type Moment struct {
	began time.Time
	at    atomic.Int64 // nanoseconds after began; 0 for never
}

// NewMoment returns the Moment of something that has not happened yet.
func NewMoment() *Moment { return &Moment{began: time.Now()} }

// Now notes that it has just happened.
func (m *Moment) Now() { m.at.Store(int64(max(time.Since(m.began), 1))) }

// Last returns when that was, zero for never.
func (m *Moment) Last() time.Time {
	after := m.at.Load()
	if after == 0 {
		return time.Time{}
	}
	return m.began.Add(time.Duration(after))
}
