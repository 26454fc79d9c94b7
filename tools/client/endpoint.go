package client

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/godwit-im/godwit/codec"
)

// The paths of a node's public port.
const (
	pathConnect = "/v1/connect"
	pathRoute   = "/v1/route"
)

// endpoint is where a node takes connections.
type endpoint struct {
	url        *url.URL // ws or wss, with a host and a path; never changed
	node       string   // the name of the node, empty if no map led here
	mapVersion uint64   // the version of the map that led here, 0 if none did
}

func parseEndpoint(text string) (endpoint, error) {
	u, err := url.Parse(text)
	if err != nil {
		return endpoint{}, fmt.Errorf("client: the URL cannot be read: %w", errors.Unwrap(err))
	}
	if u.Scheme != "ws" && u.Scheme != "wss" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return endpoint{}, fmt.Errorf("client: the URL is %q: must be like ws://host:port or wss://host:port", u.Redacted())
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = pathConnect
	}
	return endpoint{url: u}, nil
}

// follow returns the endpoint that a node directs to. The token goes there too, so it
// must not leave TLS.
func (e endpoint) follow(m *MovedError) (endpoint, error) {
	to, err := parseEndpoint(m.URL)
	if err != nil {
		return endpoint{}, err
	}
	if e.secure() && !to.secure() {
		return endpoint{}, fmt.Errorf("client: the node directs from TLS to plain text at %q", m.URL)
	}
	to.node, to.mapVersion = m.Node, m.MapVersion
	return to, nil
}

// same reports whether two endpoints are at the same place.
func (e endpoint) same(other endpoint) bool { return e.String() == other.String() }

func (e endpoint) secure() bool { return e.url.Scheme == "wss" }

// String returns the URL without its query, which may hold a secret.
func (e endpoint) String() string {
	shown := *e.url
	shown.RawQuery = ""
	return shown.String()
}

// address returns the host and port to dial.
func (e endpoint) address() string {
	port := e.url.Port()
	switch {
	case port != "":
	case e.secure():
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(e.url.Hostname(), port)
}

// target returns the path and the query to ask for, to go on from a cursor if it is not
// empty.
func (e endpoint) target(o *Options, cursor string) string {
	query := e.url.Query()
	query.Set("device", o.Device)
	switch {
	case cursor != "":
		query.Set(codec.ParamCursor, cursor)
	case o.Start != 0:
		query.Set(codec.ParamStart, o.Start.String())
	}
	if o.Overflow != codec.OverflowAuto {
		query.Set(codec.ParamOverflow, o.Overflow.String())
	}
	if e.mapVersion > 0 {
		query.Set(codec.ParamMapVersion, strconv.FormatUint(e.mapVersion, 10))
	}
	return e.url.EscapedPath() + "?" + query.Encode()
}

// routeURL returns the URL at which the node tells who serves a user.
func (e endpoint) routeURL(user string) string {
	u := url.URL{Scheme: "http", Host: e.url.Host, Path: pathRoute}
	if e.secure() {
		u.Scheme = "https"
	}
	if prefix, ok := strings.CutSuffix(e.url.Path, pathConnect); ok {
		u.Path = prefix + pathRoute
	}
	u.RawQuery = url.Values{"user": {user}}.Encode()
	return u.String()
}
