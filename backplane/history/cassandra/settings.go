package cassandra

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"
)

// The rows of the table setting, which is one Cassandra partition. since is 0 where
// there is but one row of a name.
const (
	nameFormat    = "format"
	nameNamespace = "namespace"
	nameCluster   = "cluster"
	// nameRetention is how long rows are kept that are written from since (Unix
	// milliseconds) on, in milliseconds.
	nameRetention = "retention"

	insertSetting  = "INSERT INTO %s.setting (id, name, since, value) VALUES (0, ?, ?, ?)"
	deleteSetting  = "DELETE FROM %s.setting WHERE id = 0 AND name = ? AND since < ?"
	selectSettings = "SELECT name, since, value FROM %s.setting WHERE id = 0"
)

// settings are those rows as they were at some moment. They are not changed.
type settings struct {
	format    string
	namespace string
	cluster   string
	epochs    []epoch // by since
	read      time.Time
}

// epoch is a time of one retention.
type epoch struct {
	since int64 // Unix milliseconds
	keep  int64 // milliseconds; 0 is for ever
}

func readSettings(ctx context.Context, session *session, keyspace string) (*settings, error) {
	set := &settings{read: time.Now()}
	rows := session.Query(fmt.Sprintf(selectSettings, keyspace)).IterContext(ctx).Scanner()
	for rows.Next() {
		var name, value string
		var since int64
		if err := rows.Scan(&name, &since, &value); err != nil {
			return nil, err
		}
		switch name {
		case nameFormat:
			set.format = value
		case nameNamespace:
			set.namespace = value
		case nameCluster:
			set.cluster = value
		case nameRetention:
			keep, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("setting %s: %w", name, err)
			}
			set.epochs = append(set.epochs, epoch{since, keep})
		}
	}
	return set, rows.Err()
}

// keep is the retention of what is written now, in milliseconds; 0 is for ever. There is
// one since Open.
func (set *settings) keep() int64 { return set.epochs[len(set.epochs)-1].keep }

// cutoff returns the first day whose rows are all kept at a moment, noDay if every day's
// are. Floors are made from it, and every process computes the same.
//
// A day is over when its rows may be gone: those of an epoch when the day's end is
// further back than the epoch's retention. An epoch has rows of no day after the one in
// which the next began, give or take retentionMargin.
func (set *settings) cutoff(now int64) int64 {
	first := int64(noDay)
	for i, e := range set.epochs {
		if e.keep == 0 {
			continue
		}
		last := int64(math.MaxInt64)
		if i+1 < len(set.epochs) {
			last = dayOf(set.epochs[i+1].since) + retentionMargin + 1
		}
		first = max(first, min(dayOf(now-e.keep), last))
	}
	return first
}

// ttl returns how many seconds a row may live that is written now, 0 for ever: its
// retention begins with the end of the day that the log has reached, and it may expire
// by itself (expires in Unix milliseconds, 0 for never). It reports false if nothing of
// that is left, so that the row need not be written.
func (set *settings) ttl(day, expires, now int64) (int, bool) {
	until := int64(math.MaxInt64)
	if keep := set.keep(); keep > 0 {
		until = (day+1)*dayMS + keep + grace
	}
	if expires > 0 {
		until = min(until, expires+expiredGrace)
	}
	if until == math.MaxInt64 {
		return 0, true
	}
	if until <= now {
		return 0, false
	}
	return int(min((until-now+999)/1000, maxTTL)), true
}
