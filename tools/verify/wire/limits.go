package wire

import "time"

// What docs/protocol.md allows, under the names that it has there.
const (
	maxUser        = 128   // bytes of a user id
	maxID          = 64    // bytes of the id of a send or a history
	maxCursor      = 64    // bytes of a cursor
	maxRecipients  = 64    // of a send
	maxBody        = 65536 // bytes
	maxTTL         = 31536000000
	maxPage        = 100 // messages
	defaultPage    = 50
	maxPageBytes   = 131072 // of the messages of a page before the last one, as protobuf
	maxStart       = 1000
	messageIDBytes = 16
	sessionDigits  = 16

	// maxNumber is the bound below which all numbers are.
	maxNumber = 1 << 53
)

// WebSocket messages of a server are shorter than this.
const (
	maxJSONMessage  = 1300000
	maxProtoMessage = 250000
)

// maxHead bounds what is read of the answer to an upgrade, and maxSentence what is
// read of the text of a refusal. The protocol names no bounds; a server that needs
// more has gone wrong.
const (
	maxHead     = 16 << 10
	maxSentence = 1 << 10
)

const (
	// writeTimeout is how long a server may take no bytes before the connection
	// counts as lost. It is longer than a paused process or a cut link of a usual fault,
	// after which the connection goes on.
	writeTimeout = time.Minute

	// closePatience is how long Close waits for the server's answer.
	closePatience = 5 * time.Second
)
