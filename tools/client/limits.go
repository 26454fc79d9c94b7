package client

import (
	"time"

	"github.com/godwit-im/godwit/codec"
)

// The times of the client.
const (
	// sendWindow is how long after its first attempt a send is tried again. Readers
	// recognise a retry for backplane.DuplicateWindow, three times as long, so that
	// the last attempt is safe even if it takes its time on the way.
	sendWindow = 20 * time.Second

	// sendPauseMin and sendPauseMax bound the bound of the random pause before a send
	// is tried again on the same connection.
	sendPauseMin = 100 * time.Millisecond
	sendPauseMax = 2 * time.Second

	// lookTimeout is how long Send looks into the history for a message whose outcome
	// is not known, and lookPause the pause after a look that may succeed later.
	lookTimeout = 5 * time.Second
	lookPause   = 500 * time.Millisecond

	// answerDue is the silence before a ping while an answer is awaited. Nearly all come
	// within milliseconds, so it costs a ping where something is wrong, and no other: with
	// pongTimeout, the client leaves a node that hangs 8 s after it has sent something, when
	// the cluster, which takes 4 s to notice, has replaced it as a rule, and 12 s of
	// sendWindow are left. The largest message must get through in those 8 s, so a link of
	// less than 8 KB/s is too slow for it.
	answerDue = 3 * time.Second

	// pongTimeout is how long the server has to send anything after a ping.
	pongTimeout = 5 * time.Second

	// defaultHeartbeat is the silence before a ping if the server's welcome does not say.
	defaultHeartbeat = 60 * time.Second

	// dialTimeout is how long it may take to reach a node, by TCP and TLS, the name's
	// resolution included; and welcomeTimeout how long the node may take to say welcome.
	dialTimeout    = 5 * time.Second
	welcomeTimeout = 10 * time.Second

	// welcomeDue is after how long without a welcome the client asks other nodes whether it
	// is at the right one, up to half as long again at random, and as often as that passes.
	// It goes on to wait: a node to which many clients come at once is slow, too.
	welcomeDue = 2 * time.Second

	// routeTimeout is how long the answer of one node to the question for the route may
	// take.
	routeTimeout = 3 * time.Second

	// routePause bounds the bound of the pause after a failure while other nodes answer the
	// question for the route: they will soon say who has taken the failed node's place. A
	// client asks once in 1.5 s then, on average, so 18,000 that were at a dead node ask all
	// others together 12,000 times a second. A question is less work than the connect that
	// follows it, and all of those come within seconds as well.
	routePause = 3 * time.Second

	// replaceTimeout is how long after the first failure routePause counts. A cluster takes
	// 4 s to replace a node, and up to 25 s if Kafka has to elect leaders first; if it
	// has not by then, it does not for long, and the pauses grow as far as for any failure.
	replaceTimeout = 30 * time.Second

	// retireTimeout is how long the client waits, after a move, for the answers that are
	// still to come on the old connection, and partTimeout how long when Run is to end.
	retireTimeout = 5 * time.Second
	partTimeout   = 2 * time.Second

	// defaultSpread is over how much time the clients of a degraded node ask others for the
	// route: a million of them ask 33,000 times a second. As long as the node stays degraded
	// they ask again, over twice the time each time, up to maxSpread times as much.
	defaultSpread = 30 * time.Second
	maxSpread     = 16

	// writeTimeout is how long the socket may take to accept what was gathered for one
	// write.
	writeTimeout = 10 * time.Second

	// closeTimeout is how long the closing handshake may take.
	closeTimeout = 2 * time.Second

	// defaultMinBackoff and defaultMaxBackoff are those of Options.
	defaultMinBackoff = 500 * time.Millisecond
	defaultMaxBackoff = 30 * time.Second

	// stableAfter is how long a connection must have lasted for the client to forget
	// the failures before it.
	stableAfter = 30 * time.Second

	// maxPause bounds every pause that a server asks for.
	maxPause = 60 * time.Second

	// busyPause is the least pause after the close code 1013, which asks for a longer
	// one than others.
	busyPause = time.Second
)

// The sizes of the client.
const (
	// maxRedirects is how many times in a row the client goes where it is directed
	// without having had a stable connection.
	maxRedirects = 5

	// maxOlder is how many answers in a row, by maps older than one that is known, the
	// client takes for those of nodes that do not know the newer map yet.
	maxOlder = 8

	// maxKnown is how many nodes beside the seeds the client knows, the latest of those to
	// which it was directed, and maxAsked how many it asks for the route before it makes a
	// pause.
	maxKnown = 16
	maxAsked = 4

	// queueEvents and queueBytes bound what waits for the callbacks. One event has room
	// whatever its size.
	queueEvents = 256
	queueBytes  = 4 << 20

	// maxInFlight is how many sends and reads of history of one client await their answer
	// at most, whatever the server allows.
	maxInFlight = 256

	// maxPages is how many of those are reads of history: the server refuses more (see
	// docs/protocol.md, Limits; welcome.limits does not tell it).
	maxPages = 8

	// spareAnswers is what the client leaves free of the answers that the server lets it
	// await: for a ping and for a refresh.
	spareAnswers = 2

	// controlFrames is how many frames that are no sends may wait to be written.
	controlFrames = 16

	// readBuffer is how much is read from the socket at once, writeBatch how much is
	// gathered, at least, before more frames have to wait for the next write. In bytes.
	readBuffer = 16 << 10
	writeBatch = 64 << 10

	// rememberedIDs is how many message ids the client knows again. What can come twice is
	// what a start with the newest messages repeats: codec.MaxStart, at times a few more.
	rememberedIDs = 2 * codec.MaxStart

	// maxFragments is how many frames a message of the server may come in.
	maxFragments = 64

	// maxRefusal is how much of the body of a refusal is read, in bytes.
	maxRefusal = 4 << 10

	// maxRoute is the size of the largest answer to the question for the route, in bytes.
	maxRoute = 16 << 10
)
