package config

import "time"

const (
	// leastHeartbeat is the heartbeat of a node of few connections: it keeps open what
	// closes idle connections on the way, often after one to five minutes.
	leastHeartbeat = time.Minute

	// pingsPerSecond is how many pings all clients together may make of a node that is
	// idle, about a tenth of a core: a ping is a read and a write, some 25 us.
	pingsPerSecond = 4000

	// idleHeartbeats is how many heartbeats a client may be silent: one that does not
	// ping by itself is pinged then.
	idleHeartbeats = 3
)

// HeartbeatTime returns Heartbeat, or, if that is 0, what follows from the number of
// connections.
func (l *Limits) HeartbeatTime() time.Duration {
	if l.Heartbeat != 0 {
		return l.Heartbeat
	}
	return max(leastHeartbeat, time.Duration(l.Connections/pingsPerSecond)*time.Second)
}

// IdleTime returns Idle, or, if that is 0, what follows from HeartbeatTime.
func (l *Limits) IdleTime() time.Duration {
	if l.Idle != 0 {
		return l.Idle
	}
	return idleHeartbeats * l.HeartbeatTime()
}
