package server

import (
	"context"
	"sync"
	"time"

	"github.com/godwit-im/godwit/backplane"
)

// lastRecords tells when the last record of a partition was written. kafka.Reader does.
type lastRecords interface {
	Bounds(ctx context.Context, p backplane.Partition) (first, end int64, err error)
	Scan(ctx context.Context, p backplane.Partition, from, to int64, each func(*backplane.Record) bool) error
}

// recent returns from which log time on, in Unix milliseconds, a node without a cluster reads
// each of its partitions: from so long before now that all duplicates of what comes are known.
//
// The node's own clock may be ahead of log time, and then it would begin behind records that
// are retried just now. So it goes by the last record of the partition: whatever comes has no
// earlier log time. If that cannot be had in recentPatience, the latest that was found in any
// partition will do, and only if there is none, the node's own clock.
func recent(ctx context.Context, log lastRecords, partitions []backplane.Partition, now time.Time) map[backplane.Partition]int64 {
	ctx, cancel := context.WithTimeout(ctx, recentPatience)
	defer cancel()
	var mu sync.Mutex
	var unknown []backplane.Partition
	since, latest := make(map[backplane.Partition]int64, len(partitions)), int64(0)
	list := make(chan backplane.Partition)
	var asking sync.WaitGroup
	for range recentAtOnce {
		asking.Go(func() {
			for p := range list {
				last, known := lastOf(ctx, log, p)
				mu.Lock()
				latest = max(latest, last)
				if since[p] = min(now.UnixMilli(), last); !known {
					unknown = append(unknown, p)
				}
				mu.Unlock()
			}
		})
	}
	for _, p := range partitions {
		list <- p
	}
	close(list)
	asking.Wait()
	if latest == 0 {
		latest = now.UnixMilli()
	}
	for _, p := range unknown {
		since[p] = min(now.UnixMilli(), latest)
	}
	for p := range since {
		since[p] -= backplane.Rewind.Milliseconds()
	}
	return since
}

// lastOf returns the log time of the last record of a partition, 0 if it has none.
func lastOf(ctx context.Context, log lastRecords, p backplane.Partition) (ms int64, known bool) {
	first, end, err := log.Bounds(ctx, p)
	if err != nil || first == end {
		return 0, err == nil
	}
	err = log.Scan(ctx, p, end-1, end, func(r *backplane.Record) bool {
		ms = r.Time
		return true
	})
	return ms, err == nil && ms > 0
}
