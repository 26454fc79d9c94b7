package cassandra_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/history"
	"github.com/godwit-im/godwit/backplane/history/cassandra"
)

// clock is what a store takes for the present. The store asks on several goroutines, but
// a test moves it only between calls.
type clock struct{ now int64 }

func (c *clock) at() time.Time { return time.UnixMilli(c.now) }

// aged opens an empty store with a retention and a clock.
func aged(t *testing.T, cfg cassandra.Config, retention time.Duration, c *clock) *cassandra.Store {
	t.Helper()
	cfg.Retention = retention
	s := empty(t, cfg)
	s.SetClock(c.at)
	return s
}

const days = 24 * time.Hour

// testRetention: the floor passes each day when its time is over, without anybody's help.
func testRetention(t *testing.T, cfg cassandra.Config) {
	c := &clock{t0}
	s := aged(t, cfg, 10*days, c)
	for d := range int64(5) {
		if d == 3 { // nothing but signals
			write(t, s, batch(10*d+9, t0+d*day+9))
			continue
		}
		write(t, s, batch(10*d+9, t0+d*day+9, entry(10*d, t0+d*day), entry(10*d+1, t0+d*day+1)))
	}
	all := []int64{0, 1, 10, 11, 20, 21, 40, 41}
	for i, want := range []int64{-1, 1, 11, 21, 21, 41, 41} {
		// The last millisecond of the day before, and the first of the day.
		for j, now := range []int64{t0 + (10+int64(i))*day - 1, t0 + (10+int64(i))*day} {
			if i == 0 || j == 1 {
				c.now = now
				a := applied(t, s)
				expect(t, fmt.Sprintf("day %d: the position", i), [2]int64{a.Offset, a.Time}, [2]int64{49, t0 + 4*day + 9})
				expect(t, fmt.Sprintf("day %d: the floor", i), a.Floor, want)
				q := newest()
				q.Backward = false
				kept := []int64{}
				for _, offset := range all {
					if offset > want {
						kept = append(kept, offset)
					}
				}
				expect(t, fmt.Sprintf("day %d", i), offsets(t, s, q), kept)
			}
		}
	}
	write(t, s, batch(60, c.now, entry(60, c.now)))
	expect(t, "life goes on", offsets(t, s, newest()), []int64{60})
}

// testRetentionRaised: a longer retention does not bring back what was written to be
// kept for a shorter one.
func testRetentionRaised(t *testing.T, cfg cassandra.Config) {
	now := time.Now().UnixMilli()
	today := now / day * day
	c := &clock{now}
	s := aged(t, cfg, 10*days, c)
	old := []history.Entry{entry(1, today-9*day), entry(2, today-5*day), entry(3, today)}
	for _, e := range old {
		write(t, s, batch(e.Offset, e.Time, e))
	}
	cfg.Retention = 100 * days
	longer := open(t, cfg)
	longer.SetClock(c.at)
	write(t, longer, batch(10, today+5*day, entry(10, today+5*day)))
	for _, tt := range []struct{ day, floor int64 }{
		{0, -1}, {2, 1}, {5, 1}, {6, 2}, {10, 2}, {11, 3}, {50, 3}, {105, 3}, {106, 10},
	} {
		c.now = today + tt.day*day
		expect(t, fmt.Sprintf("after %d days", tt.day), applied(t, longer).Floor, tt.floor)
		// Settings are read again by Applied, so the other process knows as well.
		expect(t, fmt.Sprintf("after %d days, told by the other process", tt.day), applied(t, s).Floor, tt.floor)
	}
}

// testRowsGo: rows are given their time to live, and go.
func testRowsGo(t *testing.T, cfg cassandra.Config) {
	// A second before the rows of t0 may go: a day after their retention.
	c := &clock{t0 + 12*day - 1000}
	s, direct := aged(t, cfg, 10*days, c), raw(t, cfg)
	write(t, s, batch(1, t0, entry(1, t0)))
	late := batch(3, t0+5*day, entry(2, t0+5*day), entry(3, t0+5*day))
	late.Entries[0].Expires = c.now - 3600*1000 + 1000
	write(t, s, late)
	gone := batch(0, t0, entry(0, t0-5*day)) // its time is over
	gone.Partition++
	write(t, s, gone)
	for table, want := range map[string]int{"timeline": 1, "conversation": 1, "bucket": 2, "day": 1} {
		eventually(t, func() error {
			if n := count(t, direct, table); n != want {
				return fmt.Errorf("%s has %d rows, want %d", table, n, want)
			}
			return nil
		})
	}
	expect(t, "what is left", offsets(t, s, newest()), []int64{3})
	expect(t, "applied", applied(t, s), history.Applied{Offset: 3, Time: t0 + 5*day, Floor: 1})
}

// testDayLost: where it is not known which entries a day had, none is promised to be there.
func testDayLost(t *testing.T, cfg cassandra.Config) {
	c := &clock{t0}
	s, direct := aged(t, cfg, 10*days, c), raw(t, cfg)
	write(t, s, batch(2, t0+day, entry(1, t0), entry(2, t0+day)))
	expect(t, "before", applied(t, s).Floor, -1)
	if err := direct.Query("TRUNCATE day").Exec(); err != nil {
		t.Fatal(err)
	}
	expect(t, "what is known stays known", applied(t, s).Floor, -1)
	c.now = t0 + 11*day
	expect(t, "after", applied(t, s).Floor, 2)
}
