package config_test

import (
	"testing"
	"time"

	"github.com/godwit-im/godwit/server/config"
)

// TestHeartbeatTime: the pings of a node's clients stay a small load, however many they
// are, unless the settings say otherwise.
func TestHeartbeatTime(t *testing.T) {
	for _, tt := range []struct {
		limits          config.Limits
		heartbeat, idle time.Duration
	}{
		{config.Limits{}, time.Minute, 3 * time.Minute},
		{config.Limits{Connections: 100_000}, time.Minute, 3 * time.Minute},
		{config.Limits{Connections: 1_000_000}, 250 * time.Second, 750 * time.Second},
		{config.Limits{Connections: 1_000_000, Heartbeat: 30 * time.Second}, 30 * time.Second, 90 * time.Second},
		{config.Limits{Idle: 5 * time.Minute}, time.Minute, 5 * time.Minute},
	} {
		if h, i := tt.limits.HeartbeatTime(), tt.limits.IdleTime(); h != tt.heartbeat || i != tt.idle {
			t.Errorf("%+v: heartbeat %v and idle %v, want %v and %v", tt.limits, h, i, tt.heartbeat, tt.idle)
		}
	}
}
