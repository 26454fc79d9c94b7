package kafka

import (
	"time"

	"github.com/godwit-im/godwit/backplane"
)

// The limits that are not settings.
const (
	// maxRecords is the most records that one send can write: one for each
	// distinct partition among its recipients and its sender.
	maxRecords = backplane.MaxRecipients + 1

	// maxValue is the largest encoded message that is accepted: the largest body,
	// and room for every other field at its largest (65 users and two ids, each
	// with its tag and length), rounded up. A value above it was never checked by a
	// codec.
	maxValue = backplane.MaxBody + 16<<10

	// maxSendBytes is the most that one send can count for: a value for each of its
	// records, the ids of all its users with their lengths, and for each record the
	// names of its two headers and the session's id.
	maxSendBytes = maxRecords * (maxValue + backplane.MaxUserID + 2 + 10)

	// maxBatch is the largest batch of records that the producer builds for a
	// partition, before Kafka's own overhead. It is the default of Kafka's
	// clients, made to fit topicMessageBytes.
	maxBatch = 1_000_012

	// topicMessageBytes is the max.message.bytes that topics get, and the least that
	// Verify accepts: Kafka's default, which holds a batch of maxBatch.
	topicMessageBytes = 1_048_588

	// clientSlack is by how many records the client's own limit lies above the
	// producer's. The producer gives a record's place back inside its promise, and
	// the client a moment later; without slack a send could be admitted here and be
	// refused there, which can block (the client then queues the refusal behind
	// its promises). One record would do.
	clientSlack = 1024

	// maxWireResponse is the largest response to a produce request that is looked
	// into, in bytes. MaxPartitions partitions need about 60 bytes each.
	maxWireResponse = 4 << 20

	// tickInterval is how often a Handler's Tick is called.
	tickInterval = time.Second

	// repairPause is how long the consumer waits between two rounds of putting
	// failed partitions back to work.
	repairPause = time.Second

	// minMetadataAge is how often, at most, a client asks for metadata.
	minMetadataAge = 500 * time.Millisecond

	// addPatience is how long a consumer waits for the leaders of partitions that are added,
	// while those of which it knows enough are read already. A leader is elected in less,
	// if the brokers know that it must be.
	addPatience = 2 * time.Second

	// offsetPause is how long a consumer or reader waits before it asks again for what
	// a broker could not tell yet.
	offsetPause = 100 * time.Millisecond

	// attemptTimeout bounds one attempt of that, and any request but those of a Producer.
	// A broker that hangs keeps its connections and does not answer; another one may lead
	// its partitions by then.
	attemptTimeout = 4 * time.Second

	// viewAge is for how long a Reader believes that the topic is the same when it asks
	// for offsets by the topic's name. Kafka tells the id only together with all
	// partitions: 60 KB for 1,024 of them.
	viewAge = time.Second

	// complainEvery is how often, at most, trouble with the brokers is logged while it goes
	// on.
	complainEvery = 30 * time.Second

	// calmAfter is for how long no client must have complained until the trouble counts as
	// over. A client that does not reach a broker tries again more often than that.
	calmAfter = 10 * time.Second

	// leaderAge is for how long a Reader believes what it knows of leaders. A fetch that
	// reaches another broker, or another topic, is refused, so it could be for ever; so
	// it is a while, for connections that lead nowhere.
	leaderAge = time.Minute

	// heartbeatInterval is how often a member of a group tells that it is there. The
	// answer is where it hears of a rebalance, so this is most of the time that one takes.
	heartbeatInterval = time.Second

	// rebalanceTimeout is how long the members of a group have to let go of partitions and
	// join again. It is above OffsetTimeout, for which a member may be busy adding some.
	rebalanceTimeout = time.Minute

	// leaveTimeout is how long a member that closes tries to tell the group.
	leaveTimeout = 5 * time.Second

	// topicPause is how long Create waits before it asks again for what it made.
	topicPause = 20 * time.Millisecond
)
