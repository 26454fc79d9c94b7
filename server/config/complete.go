package config

import (
	"net"
	"net/url"
	"slices"
	"strconv"

	"github.com/godwit-im/godwit/server/placement"
)

// ConnectPath is where the public port answers the upgrade.
const ConnectPath = "/v1/connect"

// ConnectURL returns the URL of the upgrade at address (host:port).
func ConnectURL(address string) string {
	return (&url.URL{Scheme: "ws", Host: address, Path: ConnectPath}).String()
}

// complete fills in what follows from other settings. What it cannot know (the
// host of a listener on all addresses, a port that the system chooses) it
// leaves empty.
func (c *Config) complete() {
	c.Map = slices.Clone(c.Map)
	for i := range c.Map {
		c.Map[i].URL = withPath(c.Map[i].URL)
	}
	if own := c.ownPeer(); own != nil {
		if c.Advertise == "" {
			c.Advertise = own.URL
		}
		if len(c.Partitions) == 0 {
			c.Partitions = own.Partitions
		}
	}
	if len(c.Map) == 0 && len(c.Partitions) == 0 && !c.Cluster.Enabled {
		c.Partitions = placement.All(c.Kafka.Partitions)
	}
	if c.Advertise == "" {
		if host, port, ok := splitAddress(c.Listen); ok && !everyAddress(host) && port != 0 {
			c.Advertise = ConnectURL(c.Listen)
		}
	}
	c.Advertise = withPath(c.Advertise)
}

// ownPeer returns the entry of the map for this node, nil if there is none. With
// it, all nodes can share one file, and differ only in the setting node.
func (c *Config) ownPeer() *Peer {
	i := slices.IndexFunc(c.Map, func(p Peer) bool { return p.Node == c.Node })
	if i < 0 {
		return nil
	}
	return &c.Map[i]
}

// withPath adds the usual path to a URL that has none.
func withPath(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Path != "" {
		return text
	}
	u.Path = ConnectPath
	return u.String()
}

// splitAddress splits host:port, where the port is a number.
func splitAddress(address string) (host string, port uint16, ok bool) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, false
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return host, uint16(n), err == nil
}

// everyAddress reports whether a listener on host takes all addresses of the
// machine.
func everyAddress(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// loopback reports whether only this machine reaches a listener on host.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Placement returns the map of partitions to nodes as this node sees it. A node
// whose Advertise is empty (it listens on a port that the system chose) must
// set it first, to the ConnectURL of its listener.
func (c *Config) Placement() (*placement.Map, error) {
	nodes := []placement.Node{{Name: c.Node, URL: c.Advertise, Partitions: c.Partitions}}
	for i := range c.Map {
		if p := &c.Map[i]; p != c.ownPeer() {
			nodes = append(nodes, placement.Node{Name: p.Node, URL: p.URL, Partitions: p.Partitions})
		}
	}
	return placement.New(c.MapVersion, c.Kafka.Partitions, c.Node, nodes)
}
