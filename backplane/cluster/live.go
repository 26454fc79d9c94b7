package cluster

import "slices"

// logLevels are the names of levels that a log may begin at; "" is as configured.
var logLevels = []string{"", "debug", "info", "warn", "error"}

// apply makes the change in live, or returns a *Refusal, and then live is of no use.
func (c LiveChange) apply(live *Live) error {
	for _, number := range []struct {
		name          string
		to            *int
		live          *int
		lowest, limit int
	}{
		{"moves_in_flight", c.MovesInFlight, &live.MovesInFlight, 1, MaxMovesInFlight},
		{"moved_per_second", c.MovedPerSecond, &live.MovedPerSecond, 1, MaxMovedPerSecond},
		{"sends_per_second", c.SendsPerSecond, &live.SendsPerSecond, 0, MaxSends},
		{"sends_burst", c.SendsBurst, &live.SendsBurst, 0, MaxSends},
	} {
		if number.to == nil {
			continue
		}
		if *number.to < number.lowest || *number.to > number.limit {
			return refuse(CodeBadSettings, "%s is %d: it must be %d to %d.", number.name, *number.to, number.lowest, number.limit)
		}
		*number.live = *number.to
	}
	if c.LogLevel != nil {
		if !slices.Contains(logLevels, *c.LogLevel) {
			return refuse(CodeBadSettings, "log_level is %.80q: it must be debug, info, warn or error, or empty for each node's own.", *c.LogLevel)
		}
		live.LogLevel = *c.LogLevel
	}
	return nil
}

// change returns the change to these settings.
func (l Live) change() LiveChange {
	return LiveChange{&l.MovesInFlight, &l.MovedPerSecond, &l.LogLevel, &l.SendsPerSecond, &l.SendsBurst}
}

// same reports whether the settings that this version knows are equal.
func (l Live) same(o Live) bool {
	same := true
	differences(l, o, func(string, any, any) { same = false })
	return same
}
