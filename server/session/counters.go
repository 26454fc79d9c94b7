package session

import (
	"strconv"
	"sync/atomic"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// DropReason says why a message was not put on a connection that it was for.
type DropReason uint8

// The reasons. The first three are told to the client in a gap; the others lose
// nothing that the client could have had.
const (
	notDropped DropReason = iota
	DropOutboxFull
	DropOutboxBytes
	DropNodeMemory
	DropClosing     // the connection was being closed
	DropBeforeStart // it lay before the connection's start
	DropGone        // the connection had gone when the loop came to it
	DropSignal      // a signal, for a connection that has no room or is not live
	dropReasons
)

// String returns the reason as it stands in a gap and in metrics.
func (r DropReason) String() string {
	return [dropReasons]string{"", string(codec.GapOutboxFull), string(codec.GapOutboxBytes), string(codec.GapNodeMemory),
		"closing", "before_start", "gone", "signal"}[r]
}

// RefusalReason says why a request was refused.
type RefusalReason uint8

// The reasons.
const (
	notRefused       RefusalReason = iota
	RefusedRequest                 // not a request that is understood here
	RefusedUpgrade                 // not an upgrade
	RefusedParameter               // a connect parameter is wrong
	RefusedToken
	RefusedNotOwner
	RefusedNotReady
	RefusedDegraded
	RefusedDraining
	RefusedOverloaded
	RefusedTimeout // the request was not complete in time
	RefusedCursor  // the cursor is not one of this user, or of this log
	RefusedHistory // what the connection is to begin with cannot be read now
	refusalReasons
)

// String returns the reason as it stands in metrics.
func (r RefusalReason) String() string {
	return [refusalReasons]string{"", "bad_request", "not_an_upgrade", "bad_parameter", "token", "not_owner", "not_ready", "degraded",
		"draining", "overloaded", "timeout", "cursor", "history"}[r]
}

// Counters count what happened on one loop. They are written by the loop and may
// be read from any goroutine.
//
// For each pair of record and connection that a Dispatcher counts as a target,
// one of Put, Left and Drops counts one more. What is left to a connection that catches up
// is not lost to it: Caught counts what such connections were given.
type Counters struct {
	Sessions    atomic.Int64 // gauge: welcomed and not yet closed
	Upgrades    atomic.Uint64
	BadFrames   atomic.Uint64
	Put         atomic.Uint64
	Left        atomic.Uint64 // passed by connections that catch up
	Caught      atomic.Uint64 // messages put on connections that catch up
	Catching    atomic.Int64  // gauge: connections that catch up
	CaughtUp    atomic.Uint64 // times that a connection came to the present again
	ReadsFailed atomic.Uint64 // readings of connections that catch up
	Gaps        atomic.Uint64
	Heartbeats  atomic.Uint64
	Idle        atomic.Uint64 // given up because the client was silent
	Stalled     atomic.Uint64 // given up because the client took nothing

	Drops     [dropReasons]atomic.Uint64
	Overflows [dropReasons]atomic.Uint64 // times that a connection became a reader of the log
	Refusals  [refusalReasons]atomic.Uint64
	Acks      [3]atomic.Uint64 // by backplane.Status, from Stored on
	Closes    [closeClasses]atomic.Uint64
}

// DropReasons returns the names of the reasons, by what Counters.Drop takes.
func DropReasons() []string {
	names := make([]string, 0, dropReasons-1)
	for r := notDropped + 1; r < dropReasons; r++ {
		names = append(names, r.String())
	}
	return names
}

// Drop returns how many messages were dropped for the i-th of DropReasons.
func (c *Counters) Drop(i int) uint64 { return c.Drops[i+1].Load() }

// OverflowReasons returns the names of the reasons for want of room, by what
// Counters.Overflow takes.
func OverflowReasons() []string { return DropReasons()[:DropNodeMemory] }

// Overflow returns how many connections began to catch up for the i-th of OverflowReasons.
func (c *Counters) Overflow(i int) uint64 { return c.Overflows[i+1].Load() }

// RefusalReasons returns the names of the reasons, by what Counters.Refusal takes.
func RefusalReasons() []string {
	names := make([]string, 0, refusalReasons-1)
	for r := notRefused + 1; r < refusalReasons; r++ {
		names = append(names, r.String())
	}
	return names
}

// Refusal returns how many requests were refused for the i-th of RefusalReasons.
func (c *Counters) Refusal(i int) uint64 { return c.Refusals[i+1].Load() }

// AckStatuses returns the names of the statuses, by index in Acks.
func AckStatuses() []string { return []string{"stored", "rejected", "unknown"} }

// CloseLabels returns the codes as text, by index in Closes.
func CloseLabels() []string {
	labels := make([]string, 0, closeClasses)
	for _, code := range closes {
		labels = append(labels, strconv.Itoa(int(code)))
	}
	return append(labels, "client")
}

// Dropped counts a message that was not put on a connection.
func (c *Counters) Dropped(r DropReason) { c.Drops[r].Add(1) }

// Overflowed counts a connection that has become a reader of the log for want of room.
func (c *Counters) Overflowed(r DropReason) { c.Overflows[r].Add(1) }

// Refused counts a request that was refused.
func (c *Counters) Refused(r RefusalReason) { c.Refusals[r].Add(1) }

func (c *Counters) acked(s backplane.Status) { c.Acks[s-backplane.Stored].Add(1) }

// closes is what is counted of close codes: those that the server chose. When the
// client closes, it is counted as "client", whatever the code.
var closes = [...]codec.CloseCode{
	codec.CloseGoingAway, codec.CloseTooBig, codec.CloseInternal, codec.CloseRestart, codec.CloseTryAgainLater,
	codec.CloseBadRequest, codec.CloseUnauthorized, codec.CloseForbidden, codec.ClosePolicy,
	codec.CloseSlow, codec.CloseRate, codec.CloseTokenExpired, codec.CloseMoved, codec.CloseNotOwner,
	codec.CloseCode(1002), codec.CloseCode(1007),
}

const closeClasses = len(closes) + 1

func (c *Counters) closed(code codec.CloseCode) {
	for i, known := range closes {
		if known == code {
			c.Closes[i].Add(1)
			return
		}
	}
}

func (c *Counters) closedByClient() { c.Closes[len(closes)].Add(1) }
