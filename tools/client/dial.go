package client

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
)

// connect returns a connection that the node at e, which nc leads to, has welcomed. On an
// error nc is closed. Run's goroutine calls it.
func (c *Client) connect(ctx context.Context, e endpoint, nc net.Conn, token string) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, welcomeTimeout)
	defer cancel()
	// What follows waits for the socket alone, so that is what a deadline must end.
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	k, err := c.greet(nc, e, token)
	if late := !stop(); late {
		err = fmt.Errorf("client: not connected in time: %w", ctx.Err())
	}
	if err == nil {
		return k, nil
	}
	if k != nil {
		k.end()
	}
	nc.Close()
	return nil, err
}

// token returns the token to connect with.
func (c *Client) token(ctx context.Context) (string, error) {
	token, err := c.opts.Token(ctx)
	if err != nil {
		return "", &TokenError{err}
	}
	return token, nil
}

// dial connects to the node by TCP, and TLS where that is asked for.
func (c *Client) dial(ctx context.Context, e endpoint) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	nc, err := c.opts.Dial(ctx, "tcp", e.address())
	if err != nil || !e.secure() {
		return nc, err
	}
	config := c.opts.TLS.Clone()
	if config == nil {
		config = new(tls.Config)
	}
	if config.ServerName == "" {
		config.ServerName = e.url.Hostname()
	}
	secured := tls.Client(nc, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, err
	}
	return secured, nil
}

// greet does the opening handshake and awaits the welcome.
func (c *Client) greet(nc net.Conn, e endpoint, token string) (*conn, error) {
	var key [16]byte
	rand.Read(key[:]) // never fails
	protocol := c.opts.encoding().Subprotocol()
	_, err := nc.Write(ws.AppendRequest(nil, e.url.Host, e.target(&c.opts, c.received()), key, []string{protocol},
		[2]string{"Authorization", "Bearer " + token}))
	if err != nil {
		return nil, err
	}
	early, err := readResponse(nc, key, protocol)
	if err != nil {
		return nil, err
	}
	k := newConn(nc, e, c.opts.encoding(), token, early)
	return k, k.awaitWelcome()
}

// readResponse reads the answer to the request and returns what came behind it.
func readResponse(nc net.Conn, key [16]byte, protocol string) (early []byte, err error) {
	var p []byte
	end := -1
	for end < 0 {
		if len(p) > ws.MaxHead {
			return nil, &ProtocolError{errors.New("the head of the response is too long")}
		}
		from := len(p)
		if p, err = readMore(nc, p); err != nil {
			return nil, err
		}
		end = ws.HeadEnd(p, from)
	}
	protocols := []string{protocol}
	chosen, err := ws.ParseResponse(p, key, protocols)
	if refused := (*ws.StatusError)(nil); errors.As(err, &refused) {
		want, _ := strconv.ParseUint(refused.Header("Content-Length"), 10, 31)
		for len(p)-end < min(int(want), maxRefusal) {
			if p, err = readMore(nc, p); err != nil {
				break // a part of the explanation is better than none
			}
		}
		_, err = ws.ParseResponse(p, key, protocols)
		errors.As(err, &refused)
		return nil, refusal(refused)
	}
	switch {
	case err != nil:
		return nil, &ProtocolError{err}
	case chosen == "":
		return nil, &ProtocolError{fmt.Errorf("the server does not speak %s", protocol)}
	}
	return p[end:], nil
}

// readMore appends what one Read brings. An error with bytes comes again without them.
func readMore(nc net.Conn, p []byte) ([]byte, error) {
	p = slices.Grow(p, 1<<10)
	n, err := nc.Read(p[len(p):cap(p)])
	if n > 0 {
		err = nil
	}
	return p[:len(p)+n], err
}

// refusal makes of a server's answer what the client does about it.
func refusal(e *ws.StatusError) error {
	if to := e.Header(codec.HeaderNodeURL); e.Status == http.StatusMisdirectedRequest && to != "" {
		version, _ := strconv.ParseUint(e.Header(codec.HeaderMapVersion), 10, 64)
		return &MovedError{URL: to, MapVersion: version}
	}
	r := &RefusedError{Status: e.Status, Message: printable(e.Body), RetryAfter: retryAfter(e.Header("Retry-After"), time.Now())}
	if code, message, ok := strings.Cut(r.Message, ": "); ok && isCode(code) {
		r.Code, r.Message = backplane.Code(code), message
	}
	return r
}

// printable returns the first line of a text, without what could upset a terminal.
func printable(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.Map(func(c rune) rune {
		if !strconv.IsPrint(c) {
			return -1
		}
		return c
	}, line[:min(len(line), maxRefusal)])
}

// isCode reports whether a text has the form of the protocol's codes.
func isCode(text string) bool {
	for _, c := range []byte(text) {
		if c != '_' && (c < 'a' || c > 'z') {
			return false
		}
	}
	return text != ""
}

// retryAfter reads a Retry-After field (RFC 9110, section 10.2.3): seconds or a date.
func retryAfter(field string, now time.Time) time.Duration {
	if s, err := strconv.ParseUint(field, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	if at, err := http.ParseTime(field); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
