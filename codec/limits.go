package codec

import "github.com/godwit-im/godwit/backplane"

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

	// jsonExpansion is by how much JSON can lengthen a byte of text: a control
	// character takes six bytes, as in \u0001.
	jsonExpansion = 6

	// frameOverhead is what the names, tags, lengths and punctuation of a send take
	// beside its values, with room for white space between the members.
	frameOverhead = 512

	// recipientOverhead is the same for each recipient.
	recipientOverhead = 8

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
