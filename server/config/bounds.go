package config

import (
	"time"

	"github.com/godwit-im/godwit/backplane"
)

// What the settings may be. Where a bound is not a matter of taste, the comment
// gives its reason.
const (
	// maxNodeName bounds a node's name in bytes: it stands in every welcome.
	maxNodeName = 64

	// maxNamespace keeps "<namespace>.messages.<generation>" within the 249
	// characters that Kafka allows a topic's name.
	maxNamespace = 200

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

	// recordOverhead is more than what the log adds to a body: ids and headers.
	recordOverhead = 16 << 10

	// maxSendRecords is how many records one send may become.
	maxSendRecords = backplane.MaxRecipients + 1

	// maxBytes bounds the settings in bytes: 1 TiB.
	maxBytes = 1 << 40

	// maxRecords bounds what may be on its way to Kafka.
	maxRecords = 10_000_000

	maxSends   = 1_000_000
	maxThreads = 1024

	minUpgrade, maxUpgrade     = time.Second, 5 * time.Minute
	minHeartbeat, maxHeartbeat = time.Second, time.Hour
	maxIdle                    = 24 * time.Hour
)
