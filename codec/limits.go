package codec

import (
	"encoding/binary"

	"github.com/godwit-im/godwit/backplane"
)

// Limits are what a Decoder allows in a send. They may be lower than, and never
// exceed, the constants of package backplane.
type Limits struct {
	Body       int // the longest body in bytes, at most backplane.MaxBody
	Recipients int // the most recipients, at most backplane.MaxRecipients
}

// DefaultLimits are the limits of the protocol itself.
var DefaultLimits = Limits{Body: backplane.MaxBody, Recipients: backplane.MaxRecipients}

const (
	// MaxToken is the longest token of a refresh, in bytes: room for a JSON Web Token
	// with a signature of RSA 4096 and a few hundred bytes of claims, several times
	// over. A longer one is refused as unauthorized.
	MaxToken = 4 << 10

	// MaxPage is the most messages of one page of history, and the highest limit that a
	// request for one may have: a screen or a few.
	MaxPage = 100

	// DefaultPage is the limit of a request that names none.
	DefaultPage = 50

	// PageBytes ends a page before its limit: the message with which the encoded
	// messages of a page reach so many bytes is its last. So a page of long messages
	// takes no more memory than a few of the longest.
	PageBytes = 128 << 10

	// MaxStart is the most messages that a connection may start with, the n of
	// start=last:n: enough to fill a view that has nothing yet.
	MaxStart = 1000

	// jsonExpansion is by how much JSON can lengthen a byte of text: a control
	// character takes six bytes, as in \u0001.
	jsonExpansion = 6

	// frameOverhead is what the names, tags, lengths and punctuation of a send take
	// beside its values, with room for white space between the members.
	frameOverhead = 512

	// recipientOverhead is the same for each recipient.
	recipientOverhead = 8

	// pageMessageOverhead is what a message of a page takes beside its values: its
	// cursor, its time, and its member names in JSON.
	pageMessageOverhead = 256 + MaxCursor

	// maxStored is the most bytes that the fields of an encoded message take.
	maxStored = len(backplane.MessageID{}) + backplane.MaxUserID + backplane.MaxClientID +
		backplane.MaxRecipients*(backplane.MaxUserID+recipientOverhead) + backplane.MaxBody +
		2*binary.MaxVarintLen64 + 8

	// maxUnknown is after how many unknown members of a JSON frame its Decoder stops
	// looking for the id of the send that it will refuse: every name costs memory,
	// because no name may come twice.
	maxUnknown = 16

	// maxDetail bounds Error.Detail in bytes: it is for people, and part of it may
	// come from the frame.
	maxDetail = 120
)

// MaxFrame returns a size in bytes that no valid client frame exceeds, except one
// with more white space than anybody needs: the limit to set for the WebSocket
// messages of clients.
func (l *Limits) MaxFrame(enc Encoding) int {
	send := l.Body + backplane.MaxClientID + l.Recipients*backplane.MaxUserID
	refresh := MaxToken // which has no characters that need an escape
	if enc == JSON {
		send *= jsonExpansion
	}
	return max(send+l.Recipients*recipientOverhead, refresh) + frameOverhead
}

// MaxServerFrame returns a size in bytes that no frame of a server exceeds: the limit
// for a client to set for the WebSocket messages that it reads. Pages of history are
// the largest frames.
func MaxServerFrame(enc Encoding) int {
	page := PageBytes + maxStored
	if enc == JSON {
		page *= jsonExpansion
	}
	return page + MaxPage*pageMessageOverhead + frameOverhead
}
