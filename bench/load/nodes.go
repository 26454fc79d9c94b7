package load

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
)

// endpoint is where connections go. A loop has its own, since every use writes to addr.
type endpoint struct {
	host string // host:port, as requests name it
	path string // of the request for a WebSocket
	ip   net.IP
	addr unix.Sockaddr
}

func newEndpoint(host, path string, a *net.TCPAddr) endpoint {
	return endpoint{host, path, a.IP, sockaddr(a)}
}

func sockaddr(a *net.TCPAddr) unix.Sockaddr {
	if ip := a.IP.To4(); ip != nil {
		return &unix.SockaddrInet4{Port: a.Port, Addr: [4]byte(ip)}
	}
	return &unix.SockaddrInet6{Port: a.Port, Addr: [16]byte(a.IP.To16())}
}

// destination returns the node that a connection's next socket leads to, or its present
// one does.
func (l *loop) destination(c *conn) *endpoint {
	switch {
	case c.isFeeder():
		return &l.feed
	case !l.g.config.Follow:
		return &l.nodes[0]
	}
	f := l.follower(c)
	if f.asking {
		return &l.nodes[f.asked]
	}
	return &l.nodes[f.node]
}

// nodeAt returns the place of the node with a URL among those that the loop knows. One that
// it does not know is added; its name is resolved then, which holds the loop up once.
func (l *loop) nodeAt(text string) (uint8, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "ws" || u.Host == "" {
		return 0, fmt.Errorf("directed to %q, which is no ws URL", text)
	}
	host := u.Host
	if u.Port() == "" {
		host += ":80"
	}
	for i := range l.nodes {
		if l.nodes[i].host == host {
			return uint8(i), nil
		}
	}
	if len(l.nodes) == maxNodes {
		return 0, errors.New("directed to more nodes than can be known")
	}
	a, err := resolve("a node's address", host)
	if err != nil {
		return 0, err
	}
	l.nodes = append(l.nodes, newEndpoint(host, u.EscapedPath(), a))
	return uint8(len(l.nodes) - 1), nil
}

// another returns a node other than one, at random; ok is false if there is none.
func (l *loop) another(than uint8) (other uint8, ok bool) {
	if len(l.nodes) < 2 {
		return than, false
	}
	other = uint8(l.rng.IntN(len(l.nodes) - 1))
	if other >= than {
		other++
	}
	return other, true
}

// question makes the request for the route of a connection's user.
func (l *loop) question(c *conn) {
	l.names = l.name(l.names[:0], c)
	// Names have no character that a query would have to escape; see prefixes.
	l.out = append(append(l.out[:0], "GET "+routePath+"?user="...), l.names...)
	l.out = append(append(l.out, " HTTP/1.1\r\nHost: "...), l.destination(c).host...)
	l.out = append(l.out, "\r\nConnection: close\r\n\r\n"...)
}

// direction is what a redirect or a route tells: the node that serves the user.
type direction struct {
	URL        string `json:"url"`
	MapVersion uint64 `json:"map_version"`
}

// whole reports whether all of an answer has come, as far as its head says.
func whole(e *ws.StatusError) bool {
	length := strings.TrimSpace(e.Header("Content-Length"))
	return length == "" || length == fmt.Sprint(len(e.Body))
}

// redirect returns where a refusal directs to; ok is false if it does not.
func redirect(e *ws.StatusError) (d direction, ok bool) {
	d.URL = e.Header(codec.HeaderNodeURL)
	if d.URL == "" {
		return d, false
	}
	_, err := fmt.Sscan(e.Header(codec.HeaderMapVersion), &d.MapVersion)
	return d, err == nil
}
