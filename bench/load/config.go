package load

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// Protocol says what a Generator speaks.
type Protocol string

// The protocols.
const (
	Proto Protocol = "proto" // godwit.v1 in protobuf
	JSON  Protocol = "json"  // godwit.v1 in JSON
	Plain Protocol = "plain" // any WebSocket server: frames are counted and, in a run, expected back
)

// Config says what a Generator is. Its JSON is what a load process is told.
type Config struct {
	// Addr is the server's host:port.
	Addr string `json:"addr"`
	// Path is the path of the request, by default that of godwit, or / when Plain.
	Path     string   `json:"path,omitempty"`
	Protocol Protocol `json:"protocol"`

	// Connections is the most connections there will be.
	Connections int `json:"connections"`
	// Users is how many users share them, by default as many as connections. User i
	// has the connections i, i+Users and so on, each a device.
	Users int `json:"users,omitempty"`
	// Prefix begins the names of the users, by default "load-".
	Prefix string `json:"prefix,omitempty"`
	// Key is the HS256 secret that tokens are signed with; not needed when Plain.
	Key []byte `json:"key,omitempty"`
	// Lives limits the users to such as live in one of these partitions; none is no limit.
	// It needs Partitions.
	Lives []backplane.Partition `json:"lives,omitempty"`
	// Follow has connections find the nodes that serve their users, and come back when they
	// are lost: by the rules of docs/protocol.md, Finding the node, but that a question for
	// the route goes to one node at a time. Seeds are nodes to begin at beside Addr, each
	// host:port.
	Follow bool     `json:"follow,omitempty"`
	Seeds  []string `json:"seeds,omitempty"`
	// MaxBackoff is up to where the bound of the random pause before an attempt grows, by
	// default 30 seconds, as with tools/client.
	MaxBackoff time.Duration `json:"max_backoff_ns,omitempty"`
	// Feed is the host:port of another node of the same log, where messages of the shape
	// Group then come from: see Generator.OpenFeed. The node at Addr has nothing but the
	// deliveries to do.
	Feed string `json:"feed,omitempty"`
	// Partitions is the number of partitions of the node's log, needed for runs with
	// the shape Group and for Lives.
	Partitions int32 `json:"partitions,omitempty"`

	// Loops is the number of threads, by default 1, and with Tables as many as the
	// connections need.
	Loops int `json:"loops,omitempty"`
	// Tables gives each loop's thread a descriptor table of its own.
	Tables bool `json:"tables,omitempty"`
	// MSS is the largest segment of the sockets, and ReceiveBuffer their SO_RCVBUF, in
	// bytes; 0 is the system's choice. On a loopback device that is 64 KB and 128 KB, and
	// for a client that does not read the two kernels take 4 MB, since Linux's buffer for
	// sending grows by segments. With the 1,460 of the Internet and 4,096 they take 90 KB.
	MSS           int `json:"mss,omitempty"`
	ReceiveBuffer int `json:"receive_buffer,omitempty"`
	// Heartbeats has connections send a ping when they have been silent for as long as the
	// node's welcome says (up to a quarter longer), as clients of godwit do.
	Heartbeats bool `json:"heartbeats,omitempty"`

	numbers []uint32 // in the names of the users, with Lives
}

// Validate reports what is wrong with c. New does so, too.
func (c Config) Validate() error { return c.complete() }

// complete checks c and fills in what was left out.
func (c *Config) complete() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("load: "+format, args...))
		}
	}
	switch c.Protocol {
	case Proto, JSON, Plain:
	default:
		check(false, "Protocol is %q: it must be %s, %s or %s", c.Protocol, Proto, JSON, Plain)
	}
	check(c.Connections > 0 && c.Connections <= maxConnections, "Connections is %d: it must be 1 to %d", c.Connections, maxConnections)
	if c.Users == 0 {
		c.Users = c.Connections
	}
	check(c.Users > 0 && c.Users <= max(c.Connections, 1), "Users is %d: it must be 1 to Connections, which is %d", c.Users, c.Connections)
	if c.Prefix == "" {
		c.Prefix = "load-"
	}
	check(prefixes.MatchString(c.Prefix), "Prefix is %q: it must be at most 100 letters, digits, dots, underscores and hyphens", c.Prefix)
	check(c.Protocol != Plain || c.Users == c.Connections, "Users is %d: without godwit's protocol every connection is a user", c.Users)
	check(c.Protocol == Plain || len(c.Key) >= 32, "Key has %d bytes: HS256 needs 32 or more", len(c.Key))
	check(c.Partitions >= 0 && c.Partitions <= backplane.MaxPartitions, "Partitions is %d: it must be at most %d", c.Partitions, backplane.MaxPartitions)
	check(c.Feed == "" || c.Protocol != Plain && c.Partitions > 0, "Feed needs godwit's protocol and Partitions")
	for _, p := range c.Lives {
		check(p >= 0 && int32(p) < c.Partitions, "Lives has the partition %d: Partitions is %d", p, c.Partitions)
	}
	check(!c.Follow || c.Protocol != Plain && c.Feed == "", "Follow needs godwit's protocol, and goes without a Feed")
	check(len(c.Seeds) == 0 || c.Follow && len(c.Seeds) < maxNodes, "Seeds has %d nodes: they are for Follow, and %d at most", len(c.Seeds), maxNodes-1)
	check(c.MaxBackoff == 0 || c.Follow && c.MaxBackoff >= minBackoff, "MaxBackoff is %v: it is for Follow, and at least %v", c.MaxBackoff, minBackoff)
	check(c.MSS == 0 || c.MSS >= 536 && c.MSS <= 65_495, "MSS is %d: it must be 536 to 65495", c.MSS)
	check(c.ReceiveBuffer >= 0, "ReceiveBuffer is %d: it must not be negative", c.ReceiveBuffer)
	if c.Follow && c.MaxBackoff == 0 {
		c.MaxBackoff = defaultMaxBackoff
	}
	if c.Path == "" {
		c.Path = "/"
		if c.Protocol != Plain {
			c.Path = connectPath
		}
	}
	if c.Loops == 0 {
		c.Loops = 1
		if c.Tables {
			c.Loops = (c.Connections + perTable - 1) / perTable
		}
	}
	check(c.Loops > 0 && c.Loops <= maxLoops, "Loops is %d: it must be 1 to %d", c.Loops, maxLoops)
	check(!c.Tables || c.Connections <= c.Loops*perTable, "Loops is %d: %d connections need %d with Tables", c.Loops, c.Connections, (c.Connections+perTable-1)/perTable)
	if c.Loops > c.Connections {
		c.Loops = max(c.Connections, 1)
	}
	if len(errs) == 0 {
		c.settle()
	}
	return errors.Join(errs...)
}

// prefixes leaves room for a number in a user id, and needs no escapes in a token.
var prefixes = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,100}$`)

const (
	connectPath = "/v1/connect"
	routePath   = "/v1/route"

	// maxConnections is beyond what a machine holds; a stamp has 32 bits for a
	// connection.
	maxConnections = 16_000_000
	maxLoops       = 1024
)

// encoding returns the encoding of godwit.v1.
func (c *Config) encoding() codec.Encoding {
	if c.Protocol == JSON {
		return codec.JSON
	}
	return codec.Proto
}

// resolve returns the address that a setting names.
func resolve(setting, text string) (*net.TCPAddr, error) {
	a, err := net.ResolveTCPAddr("tcp", text)
	if err != nil {
		return nil, fmt.Errorf("load: %s: %w", setting, err)
	}
	if a.IP == nil || a.Port == 0 {
		return nil, fmt.Errorf("load: %s is %q: it must be host:port", setting, text)
	}
	return a, nil
}
