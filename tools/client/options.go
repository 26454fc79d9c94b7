package client

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"
	"unicode/utf8"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// Options say how a Client connects and whom it tells what. URLs and Token are needed,
// the rest has defaults.
type Options struct {
	// URLs are where to connect first: ws://host:port or wss://host:port, of one node or
	// several. The path /v1/connect is added where there is none. Any nodes will do: they
	// tell the address of the one that serves the user. The client begins with one at
	// random, and turns to the others when it does not answer.
	URLs []string

	// Token returns the token to connect with. It is called before each attempt to
	// connect, and by Refresh, so it may be called by several goroutines. If it fails,
	// the attempt has failed.
	Token func(context.Context) (string, error)

	// Device is a stable name of this device, at most backplane.MaxDevice bytes of UTF-8. By
	// it the server recognises a send that is tried again on another connection. No
	// two clients of a user may use the same name at the same time. Without one the
	// Client makes a random name for its lifetime.
	Device string

	// Cursor is where in the user's timeline to go on: the Cursor of the last message that
	// a program has dealt with before it was started anew, or what Client.Cursor returned.
	// Empty is to begin as Start says.
	Cursor string

	// Start is with how many of the user's newest messages to begin where there is no
	// cursor, at most codec.MaxStart; 0 is to begin with what is sent from now on.
	Start codec.Start

	// Overflow says what becomes of deliveries that the callbacks are too slow for. With
	// codec.OverflowAuto they come later, in order, however many they are. With
	// codec.OverflowGap they are dropped, OnGap says which, and History has them.
	Overflow codec.Overflow

	// JSON makes the client speak JSON rather than protobuf.
	JSON bool

	// OnMessage is told each message that arrives, OnGone what never will, OnGap each
	// range of deliveries that was dropped on the way, OnState each change of the
	// connection, and OnError what went wrong without ending the connection: a
	// *ServerError or a *SequenceError. Any of them may be nil. They are called one at a
	// time.
	OnMessage func(Message)
	OnGone    func(Gone)
	OnGap     func(Gap)
	OnState   func(State)
	OnError   func(error)

	// MinBackoff and MaxBackoff bound the bound of the random pause before connecting
	// again: 500 ms and 30 s unless set. In the first half minute the bound is at most 3 s, or
	// MinBackoff if that is more, while other nodes answer.
	MinBackoff, MaxBackoff time.Duration

	// DegradedSpread is over how much time the clients of a node that has lost its log
	// ask other nodes whether one of them has taken its place: 30 s unless set.
	DegradedSpread time.Duration

	// TLS is the configuration for wss URLs; nil is the default one.
	TLS *tls.Config

	// Dial makes connections: that of a net.Dialer if nil.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Logger is told what happens to the connection; nil for no log. Tokens and bodies
	// are never logged.
	Logger *slog.Logger
}

// StaticToken returns a Token function for a token that never changes.
func StaticToken(token string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return token, nil }
}

// complete checks the options and fills in the defaults.
func (o *Options) complete() error {
	if len(o.URLs) == 0 {
		return errors.New("client: URLs are missing: that of a node is needed")
	}
	if o.Token == nil {
		return errors.New("client: Token is missing: a function that returns the token to connect with")
	}
	if len(o.Device) > backplane.MaxDevice || !utf8.ValidString(o.Device) {
		return fmt.Errorf("client: Device is %q: must be at most %d bytes of UTF-8", o.Device, backplane.MaxDevice)
	}
	if o.Device == "" {
		o.Device = randomID()
	}
	if len(o.Cursor) > codec.MaxCursor || !utf8.ValidString(o.Cursor) {
		return fmt.Errorf("client: Cursor is %q: no server gives such a cursor", o.Cursor)
	}
	if o.Start > codec.MaxStart {
		return fmt.Errorf("client: Start is %d: must be at most %d", o.Start, codec.MaxStart)
	}
	if o.MinBackoff == 0 {
		o.MinBackoff = defaultMinBackoff
	}
	if o.MaxBackoff == 0 {
		o.MaxBackoff = max(defaultMaxBackoff, o.MinBackoff)
	}
	if o.MinBackoff < 0 || o.MaxBackoff < o.MinBackoff {
		return fmt.Errorf("client: MinBackoff is %v and MaxBackoff %v: must be positive and in this order", o.MinBackoff, o.MaxBackoff)
	}
	if o.DegradedSpread == 0 {
		o.DegradedSpread = defaultSpread
	}
	if o.DegradedSpread < 0 {
		return fmt.Errorf("client: DegradedSpread is %v: must be positive", o.DegradedSpread)
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

func (o *Options) encoding() codec.Encoding {
	if o.JSON {
		return codec.JSON
	}
	return codec.Proto
}

// randomID returns 128 random bits in hexadecimal digits.
func randomID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
