package config

import (
	"time"

	"github.com/godwit-im/godwit/backplane"
)

// What the settings may be. Where a bound is not a matter of taste, the comment
// gives its reason.
const (
	// maxConnections is far above what a node holds; it catches a slip of the finger.
	maxConnections = 10_000_000

	// maxQueueMessages and maxInFlight keep all that may wait for one connection
	// (messages, acks, control frames) below the largest outbox ring.
	maxQueueMessages = 65_536
	maxInFlight      = 16_384

	// frameOverhead is more than what a message of the longest ids adds to its body
	// in either encoding: 66 users of 128 bytes, escaped.
	frameOverhead = 64 << 10

	// jsonInflation is how much a body grows at most in JSON: a control character
	// becomes \u and four digits.
	jsonInflation = 6

	// maxSendRecords is how many records one send may become: one for each distinct
	// partition of its recipients and its sender.
	maxSendRecords = backplane.MaxRecipients + 1

	// minProducerBytes holds the records of one send, however large and to however
	// many: each has the body, at most 64 KiB, and less than 32 KiB of ids.
	minProducerBytes = 8 << 20

	// maxBytes bounds the settings in bytes: 1 TiB.
	maxBytes = 1 << 40

	// maxRecords bounds what may be on its way to Kafka.
	maxRecords = 10_000_000

	// maxLinger is far above what is of use: it is added to every message's way.
	maxLinger = time.Second

	// A day is the smallest piece that is forgotten; ten years are longer than any log.
	minRetention, maxRetention = 24 * time.Hour, 10 * 365 * 24 * time.Hour

	maxReplication = 100

	// maxWeight leaves room for fine shares of many nodes.
	maxWeight = 10_000

	maxSends   = 1_000_000
	maxThreads = 1024

	minUpgrade, maxUpgrade     = time.Second, 5 * time.Minute
	minHeartbeat, maxHeartbeat = time.Second, time.Hour
	maxIdle                    = 24 * time.Hour
)
