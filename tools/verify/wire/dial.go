package wire

import (
	"context"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Options say how to connect. URL, Token, User and Format are needed.
type Options struct {
	URL    string // of /v1/connect, without a query
	Token  string
	User   string // whose token it is
	Format Format

	// The connect parameters, left out if they are zero.
	Device     string
	Cursor     string
	Start      string // "live" or "last:N"
	Overflow   string // "auto" or "gap"
	MapVersion uint64

	// Origin is that of a page, which makes the server refuse as it refuses browsers:
	// by frames. Empty for none.
	Origin string

	// Fragments is in how many WebSocket frames each message of the client goes; 0 and 1
	// are the same.
	Fragments int

	// ReceiveBuffer is the size of the kernel's buffer for what was not read yet, in
	// bytes, so that a server feels a slow reader soon. 0 leaves it to the kernel. With
	// less than two segments, which have 64 KB on loopback, TCP itself makes pauses of
	// a fifth of a second, and a reader at full pace is slow too.
	ReceiveBuffer int

	// TLS is for URLs with wss. Nil trusts what the system trusts.
	TLS *tls.Config
}

// Dial opens a connection and waits for its welcome; ctx bounds that, and has no effect
// afterwards. An error is a *Refusal if the server refused, a *Violation if it broke the
// protocol so that no connection came about, or of the network.
func Dial(ctx context.Context, o Options) (*Conn, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("wire: %w", err)
	}
	socket, err := dialSocket(ctx, u, &o)
	if err != nil {
		return nil, fmt.Errorf("wire: %w", err)
	}
	// A deadline in the past ends whatever reads or writes when ctx ends.
	stop := context.AfterFunc(ctx, func() { _ = socket.SetDeadline(time.Unix(1, 0)) })
	c, err := open(socket, u, &o)
	if !stop() && err == nil {
		c.Cut()
		err = context.Cause(ctx)
	}
	if err == nil {
		return c, nil
	}
	_ = socket.Close()
	if refusal := (*Refusal)(nil); errors.As(err, &refusal) {
		return nil, refusal
	}
	if broken := (*Violation)(nil); errors.As(err, &broken) {
		return nil, broken
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return nil, fmt.Errorf("wire: connecting to %s: %w", u.Host, err)
}

// dialSocket connects to the host of a URL.
func dialSocket(ctx context.Context, u *url.URL, o *Options) (net.Conn, error) {
	port, secure := "80", false
	switch u.Scheme {
	case "ws":
	case "wss":
		port, secure = "443", true
	default:
		return nil, fmt.Errorf("the URL %q is neither ws nor wss", o.URL)
	}
	if u.Port() != "" {
		port = u.Port()
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok && o.ReceiveBuffer > 0 {
		_ = tcp.SetReadBuffer(o.ReceiveBuffer) // a larger buffer is still correct
	}
	if !secure {
		return conn, nil
	}
	config := o.TLS.Clone()
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if config.ServerName == "" {
		config.ServerName = u.Hostname()
	}
	layer := tls.Client(conn, config)
	if err := layer.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return layer, nil
}

// open upgrades a socket and reads up to the welcome.
func open(socket net.Conn, u *url.URL, o *Options) (*Conn, error) {
	c := newConn(socket, o)
	if err := c.upgrade(u, o); err != nil {
		return nil, err
	}
	return c, c.welcomed(o)
}

// upgrade makes a WebSocket of the socket, by RFC 6455, section 4.1.
func (c *Conn) upgrade(u *url.URL, o *Options) error {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	key := base64.StdEncoding.EncodeToString(nonce[:])
	if _, err := io.WriteString(c.socket, request(u, o, key)); err != nil {
		return err
	}
	// The head has a bound; what follows it has those of messages.
	c.head.N = maxHead
	resp, err := http.ReadResponse(c.buffered, &http.Request{Method: http.MethodGet})
	if err != nil {
		if netError := net.Error(nil); errors.As(err, &netError) || errors.Is(err, io.ErrUnexpectedEOF) && c.head.N > 0 {
			return err
		}
		return violation(RuleHandshake, "the answer is not HTTP, or its head is too long: %v", err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		defer resp.Body.Close()
		return newRefusal(resp)
	}
	c.head.N = math.MaxInt64
	return checkUpgrade(resp.Header, subprotocol(o.Format), key)
}

func subprotocol(f Format) string { return "godwit.v1." + string(f) }

// request is the head of the request for an upgrade.
func request(u *url.URL, o *Options, key string) string {
	query := url.Values{}
	add := func(name, value string) {
		if value != "" {
			query.Set(name, value)
		}
	}
	add("device", o.Device)
	add("cursor", o.Cursor)
	add("start", o.Start)
	add("overflow", o.Overflow)
	if o.MapVersion > 0 {
		query.Set("map_version", strconv.FormatUint(o.MapVersion, 10))
	}
	target := u.EscapedPath()
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	head := []string{
		"GET " + target + " HTTP/1.1",
		"Host: " + u.Host,
		"Upgrade: websocket",
		"Connection: Upgrade",
		"Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: " + key,
		"Sec-WebSocket-Protocol: " + subprotocol(o.Format),
		"Authorization: Bearer " + o.Token,
	}
	if o.Origin != "" {
		head = append(head, "Origin: "+o.Origin)
	}
	return strings.Join(head, "\r\n") + "\r\n\r\n"
}

// acceptSuffix is the text that RFC 6455, section 1.3, appends to a key.
const acceptSuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// checkUpgrade checks the headers of a status 101.
func checkUpgrade(h http.Header, protocol, key string) error {
	sum := sha1.Sum([]byte(key + acceptSuffix))
	accept := base64.StdEncoding.EncodeToString(sum[:])
	only := func(name, value string, fold bool) bool {
		values := h.Values(name)
		return len(values) == 1 && (values[0] == value || fold && strings.EqualFold(values[0], value))
	}
	switch {
	case !only("Upgrade", "websocket", true), !only("Connection", "Upgrade", true):
		return violation(RuleHandshake, "upgraded to %q, %q", h.Values("Upgrade"), h.Values("Connection"))
	case !only("Sec-Websocket-Accept", accept, false):
		return violation(RuleHandshake, "accepted with %q", h.Values("Sec-Websocket-Accept"))
	case !only("Sec-Websocket-Protocol", protocol, false):
		return violation(RuleHandshake, "%q was answered by the subprotocol %q", protocol, h.Values("Sec-Websocket-Protocol"))
	case len(h.Values("Sec-Websocket-Extensions")) > 0:
		return violation(RuleHandshake, "extensions that nobody asked for: %q", h.Values("Sec-Websocket-Extensions"))
	}
	return nil
}

// welcomed reads the first frame. What comes in its place is a refusal.
func (c *Conn) welcomed(o *Options) error {
	var refusal Refusal
	for {
		frame, err := c.read()
		var end *End
		switch {
		case errors.As(err, &end) && end.Code != 0:
			if !endCodes[end.Code] {
				c.found.add(RuleClose, "refused with close code %d", end.Code)
			}
			refusal.CloseCode, refusal.Violations = end.Code, c.found
			return &refusal
		case err != nil && len(c.found) > 0:
			return c.found[0]
		case err != nil:
			return err
		}
		switch f := frame.(type) {
		case *Welcome:
			if refusal.Code != "" || refusal.URL != "" {
				return violation(RuleWelcome, "a welcome after frames that refuse: %q, %q", refusal.Code, refusal.URL)
			}
			c.welcome = f
			c.mu.rules = newRules(o, f, &c.found)
			c.queue()
			return nil
		case *Moved, *Error:
			refusal.tell(f)
		case nil:
			return c.found[0] // tells why it is none
		default:
			return violation(RuleWelcome, "a frame before the welcome: %T", f)
		}
	}
}
