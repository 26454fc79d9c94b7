package workload

import (
	"testing"
	"time"
)

// TestRefused: a message of unknown outcome is sent again though it is refused then, unless
// no attempt can have stored it.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name          string
		faulty, again bool
		outcomes      []outcome
	}{
		{"refused", false, false, []outcome{refused}},
		{"refused for now", false, true, []outcome{refusedForNow}},
		{"refused after it was unknown", false, true, []outcome{unknown, refused}},
		{"faulty", true, false, []outcome{refused}},
		{"faulty and refused after it was unknown", true, false, []outcome{unknown, refused}},
		{"faulty and unknown", true, true, []outcome{unknown}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &device{load: &Load{ledger: newLedger(1), tally: new(tally)}, bell: make(chan struct{}, 1)}
			d.mu.alive = 1
			now := time.Now()
			p := &post{draft: &draft{faulty: c.faulty}, first: now, latest: now, attempt: 1}
			for i, o := range c.outcomes {
				d.settled(p, o)
				if got, want := len(d.mu.queue) == 1, c.again || i+1 < len(c.outcomes); got != want {
					t.Errorf("after %d outcomes it is to be sent again: %v, want %v", i+1, got, want)
				}
				d.mu.queue = nil
			}
			if got := d.idle(); got == c.again {
				t.Errorf("the device is idle: %v", got)
			}
		})
	}
}
