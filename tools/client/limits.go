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

	// pongTimeout is how long the server has to send anything after a ping.
	pongTimeout = 5 * time.Second

	// defaultHeartbeat is the silence before a ping if the server's welcome does not say.
	defaultHeartbeat = 60 * time.Second

	// dialTimeout is how long it may take to reach a node, by TCP and TLS, the name's
	// resolution included; and welcomeTimeout how long the node may take to say welcome.
	dialTimeout    = 5 * time.Second
	welcomeTimeout = 10 * time.Second

	// routeTimeout is how long the answer of one node to the question for the route may
	// take.
	routeTimeout = 3 * time.Second

	// retireTimeout is how long the client waits, after a move, for the answers that are
	// still to come on the old connection.
	retireTimeout = 5 * time.Second

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
