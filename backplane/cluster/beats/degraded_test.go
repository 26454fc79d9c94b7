package beats

import (
	"testing"
	"time"
)

func TestDegraded(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	ago := func(ms int) time.Time { return now.Add(-time.Duration(ms) * time.Millisecond) }
	for _, c := range []struct {
		beat, produce, fetch int // ms ago
		want                 bool
	}{
		{0, 0, 0, false},
		{3999, 9000, 9000, false},
		{9000, 3999, 9000, false},
		{9000, 9000, 3999, false},
		{4000, 4000, 4000, true},
		{60_000, 5000, 4000, true},
	} {
		if got := Degraded(now, ago(c.beat), ago(c.produce), ago(c.fetch)); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
