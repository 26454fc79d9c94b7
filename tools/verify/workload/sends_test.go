package workload

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
	"github.com/godwit-im/godwit/tools/verify/wire"
)

func discard(string, event.Event) {}

// script is a link that answers attempts as it was told, the last answer again and again.
type script struct {
	link
	device   *device
	takes    time.Duration
	answers  []outcome
	attempts []time.Time
}

func (s *script) attempt(p *post) bool {
	s.attempts = append(s.attempts, time.Now())
	s.device.begin(p, event.MessageID(wire.NewMessageID("a", "d", p.send())))
	answer := s.answers[min(len(s.attempts), len(s.answers))-1]
	time.AfterFunc(s.takes, func() { s.device.settled(p, answer) })
	return true
}

// TestOutcomes has a device send a message until nothing more can come of it.
func TestOutcomes(t *testing.T) {
	for name, c := range map[string]struct {
		draft    draft
		takes    time.Duration
		answers  []outcome
		attempts int // 0: many
		unseen   int64
		given    bool
	}{
		"stored":                   {answers: []outcome{stored}, attempts: 1, unseen: 2},
		"refused":                  {answers: []outcome{refused}, attempts: 1},
		"refused, then stored":     {answers: []outcome{refusedForNow, stored}, attempts: 2, unseen: 2},
		"unknown, then stored":     {answers: []outcome{unknown, unknown, stored}, attempts: 3, unseen: 2},
		"unknown, then refused":    {answers: []outcome{unknown, refused, stored}, attempts: 3, unseen: 2},
		"unknown for ever":         {answers: []outcome{unknown}, given: true},
		"unknown, and slowly":      {takes: retryAfter - time.Second, answers: []outcome{unknown}, attempts: 2, given: true},
		"unknown, and too slowly":  {takes: retryAfter, answers: []outcome{unknown}, attempts: 1, given: true},
		"unknown, and given up":    {draft: draft{gives: true}, answers: []outcome{unknown}, attempts: 1, given: true},
		"stored twice":             {draft: draft{repeat: true, pauses: time.Second}, answers: []outcome{stored}, attempts: 2, unseen: 2},
		"stored, then unknown":     {draft: draft{repeat: true}, answers: []outcome{stored, unknown}, attempts: 2, unseen: 2},
		"a signal":                 {draft: draft{kind: wire.KindSignal}, answers: []outcome{stored}, attempts: 1},
		"a message that ends soon": {draft: draft{ttl: time.Second}, answers: []outcome{stored}, attempts: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, err := New(Options{Users: 2, Devices: 1, Rate: 1, URLs: func() []string { return nil }, Token: func(string, time.Duration) string { return "" }, Write: discard})
				if err != nil {
					t.Fatal(err)
				}
				d := l.devices[0]
				s := &script{device: d, takes: c.takes, answers: c.answers}
				d.link = s
				l.wg.Go(func() { d.sendAll(l.ctx) })
				c.draft.id, c.draft.users, c.draft.to = "m1", []int{1}, []string{"b"}
				d.post(&c.draft)
				synctest.Wait()
				if len(s.attempts) != 0 {
					t.Error("it was sent without a connection")
				}
				d.setOnline(true)
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
				defer cancel()
				if err := l.Drain(ctx); err != nil {
					t.Error(err)
				}
				if c.attempts > 0 && len(s.attempts) != c.attempts || len(s.attempts) < 1 || c.attempts == 0 && len(s.attempts) < 20 {
					t.Errorf("there were %d attempts, want %d", len(s.attempts), c.attempts)
				}
				if took := s.attempts[len(s.attempts)-1].Sub(s.attempts[0]); took >= retryWindow {
					t.Errorf("the last attempt was made %v after the first", took)
				}
				counts := l.Counts()
				if counts.Unseen != c.unseen || (counts.Conduct.GivenUp > 0) != c.given || !d.idle() {
					t.Errorf("at the end: %+v", counts)
				}
				l.Close()
			})
		})
	}
}

// TestGivenUpOffline has a device lose its connection for so long that a retry makes no sense.
func TestGivenUpOffline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := New(Options{Users: 2, Devices: 1, Rate: 1, URLs: func() []string { return nil }, Token: func(string, time.Duration) string { return "" }, Write: discard})
		if err != nil {
			t.Fatal(err)
		}
		d := l.devices[0]
		s := &script{device: d, answers: []outcome{unknown}}
		d.link = s
		l.wg.Go(func() { d.sendAll(l.ctx) })
		d.setOnline(true)
		d.post(&draft{id: "m1", users: []int{1}, to: []string{"b"}})
		synctest.Wait()
		d.setOnline(false)
		tried := len(s.attempts)
		time.Sleep(retryAfter - 2*tick)
		if d.idle() {
			t.Error("it was given up early")
		}
		time.Sleep(4 * tick)
		if !d.idle() || len(s.attempts) != tried || l.Counts().Conduct.GivenUp != 1 {
			t.Errorf("it is not given up: %+v", l.Counts())
		}
		l.Close()
	})
}

// TestPacer has messages go out at their rate to who is ready, and none pile up where nobody is.
func TestPacer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := New(Options{Users: 40, Devices: 2, Rate: 200, Seed: 1, URLs: func() []string { return nil }, Token: func(string, time.Duration) string { return "" }, Write: discard})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range l.devices {
			s := &script{device: d, takes: 10 * time.Millisecond, answers: []outcome{stored}}
			d.link = s
			l.wg.Go(func() { d.sendAll(l.ctx) })
			d.setOnline(true)
		}
		l.pace()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := l.Counts().Latency.Count() - l.Counts().Conduct.Repeats; n < 1900 || n > 2010 {
			t.Errorf("%d messages were sent in 10 s", n)
		}
		for _, d := range l.devices {
			d.setOnline(false)
		}
		skipped := l.Counts().Skipped
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := l.Counts().Skipped - skipped; n < 1900 || n > 2010 {
			t.Errorf("%d messages were left out in 10 s", n)
		}
		for _, d := range l.devices {
			if d.mu.alive > underWay {
				t.Errorf("%s has %d messages to send", d.by, d.mu.alive)
			}
		}
		l.Close()
	})
}
