package admin

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/godwit-im/godwit/backplane"
)

// Config says what to serve. It is read by New and not kept by the caller.
type Config struct {
	// Listen is the address, host:port. Port 0 takes a free one.
	Listen string
	// Token is what requests must carry as "Authorization: Bearer". Only a loopback
	// address may go without.
	Token string

	// Gatherer has the metrics.
	Gatherer prometheus.Gatherer
	// Ready returns nil while the node serves users, else the reason why not.
	Ready func() error
	// Warning returns what an operator must look into although the node serves, nil for
	// nothing. It may be nil.
	Warning func() error

	// Producer takes the messages of backends; nil in a process that takes none.
	Producer backplane.Producer
	// Body is the longest body of a message in bytes, at most backplane.MaxBody. Needed
	// with Producer.
	Body int
	// Timelines reads and erases timelines; nil in a process that cannot.
	Timelines Timelines
	// Cluster is the node's part in its cluster; nil in a process that has none.
	Cluster Cluster

	// Pages is what lies at /; nil for nothing.
	Pages http.Handler
	// Sign returns a token of the development key for user, good for ttl. Nil when
	// the node has no such key; then there is no token endpoint. It needs a loopback
	// address, because whoever reaches it can be anyone.
	Sign func(user string, ttl time.Duration) (string, error)
	// PublicURL returns the ws or wss URL of the public port, which the token
	// endpoint tells. Needed with Sign.
	PublicURL func() string

	// Log takes what net/http has to say. Nil for slog.Default().
	Log *slog.Logger
}

// resolve checks c and returns the address to listen on.
func (c *Config) resolve() (*net.TCPAddr, error) {
	switch {
	case c.Gatherer == nil, c.Ready == nil:
		return nil, errors.New("admin: Gatherer and Ready are needed")
	case c.Sign != nil && c.PublicURL == nil:
		return nil, errors.New("admin: Sign needs PublicURL")
	case c.Producer != nil && (c.Body <= 0 || c.Body > backplane.MaxBody):
		return nil, fmt.Errorf("admin: Body is %d bytes: it must be 1 to %d", c.Body, backplane.MaxBody)
	}
	// What counts is the address that is listened on, not the name it was given by.
	addr, err := net.ResolveTCPAddr("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("admin: %q is not an address to listen on: %w", c.Listen, err)
	}
	if addr.IP.IsLoopback() {
		return addr, nil
	}
	if c.Sign != nil {
		return nil, fmt.Errorf("admin: %q is not a loopback address: the development key signs a token for anyone who asks, so others must not reach it", c.Listen)
	}
	if c.Token == "" {
		return nil, fmt.Errorf("admin: %q is not a loopback address: without a token, anyone who reaches it could send messages as any user, and read them all", c.Listen)
	}
	return addr, nil
}
