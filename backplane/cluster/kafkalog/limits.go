package kafkalog

import (
	"time"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/beats"
)

// The limits and times that are not settings.
const (
	// maxValue is the longest value of a record that is written, in bytes.
	maxValue = max(cluster.MaxRecord, beats.MaxBeat)

	// maxKey is the longest key of a record that is written, in bytes: a prefix and an id.
	maxKey = 2 * cluster.MaxID

	// maxRecords is how many records one decision, or one call of Append, may have: one
	// for each partition of the largest generation, and room for nodes and results.
	maxRecords = 16_384

	// maxBytes is how long the values of one decision, or one call of Append, may be
	// together. A record of a partition has about 150 bytes.
	maxBytes = 8 << 20

	// topicMessageBytes is the max.message.bytes of the topics: Kafka's default, which
	// holds a batch of maxBatch.
	topicMessageBytes = 1_048_588

	// maxBatch is the longest batch of records that is written. A single record fits.
	maxBatch = 1_000_000

	// fetchBytes is the most that a broker puts into one answer, a larger batch excepted.
	fetchBytes = 8 << 20

	// maxWaiting is how many bytes of records may wait until the reader has come to the
	// end of what is settled, so that no decision is handed out in parts. Beyond it they
	// are handed out as they come; only a first read of a very long topic can be so long.
	maxWaiting = 64 << 20

	// fetchWait is how long a broker holds a fetch that it has nothing for.
	fetchWait = 500 * time.Millisecond

	// attemptTimeout bounds one request, beyond the time that the request itself gives
	// the broker. A broker that hangs keeps its connections; another one may lead its
	// partitions by then.
	attemptTimeout = 2 * time.Second

	// retryPause is how long it takes until something is tried again.
	retryPause = 100 * time.Millisecond

	// complainEvery is how often, at most, a failure that goes on is logged.
	complainEvery = 30 * time.Second

	// openTimeout bounds Open. A controller that died in the middle of a decision hides
	// what was written after it until the brokers give the transaction up: after
	// transactionTimeout, and they look every 10 s
	// (transaction.abort.timed.out.transaction.cleanup.interval.ms).
	openTimeout = 30 * time.Second

	// appendTimeout bounds Append.
	appendTimeout = 10 * time.Second

	// barrierTimeout bounds Barrier; see openTimeout.
	barrierTimeout = 30 * time.Second

	// takeTimeout bounds Take. The first one of all has the brokers make the topic of
	// their transactions.
	takeTimeout = 30 * time.Second

	// commitTimeout bounds Commit. It is below transactionTimeout, so that whoever
	// returns from it late finds out that it was too late.
	commitTimeout = 4 * time.Second

	// settleTimeout bounds Settle.
	settleTimeout = 10 * time.Second

	// transactionTimeout is after what time the brokers abort a transaction.
	transactionTimeout = 5 * time.Second

	// beatInterval is how often a node beats.
	beatInterval = beats.Interval * time.Millisecond

	// listenBack is how far back beats are heard at first: so far that a node which starts
	// knows at once who is silent, and who has the controller's flag.
	listenBack = (beats.Quiet + beats.SuspectAfter) * time.Millisecond * 3 / 2

	// beatTimeout bounds one attempt to tell that one is there. The broker itself has
	// beatAnswer of that.
	beatTimeout = 1500 * time.Millisecond
	beatAnswer  = 500 * time.Millisecond

	// tombstoneAge is the delete.retention.ms of the cluster topic: for how long a
	// reader finds out that a key was deleted.
	tombstoneAge = 24 * time.Hour

	// outOfTouch is after what time without an answer a reader does not go on: it may
	// have missed tombstones. Half of tombstoneAge, because compaction counts from when
	// it first came by.
	outOfTouch = tombstoneAge / 2

	// maxCounted is of how many nodes a Listener remembers how far they have counted. Names
	// come from whoever can write to the topic, so there must be a bound.
	maxCounted = 4 * cluster.MaxNodes

	// topicsTimeout bounds Create and Verify.
	topicsTimeout = 30 * time.Second
)
