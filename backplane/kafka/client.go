package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"github.com/twmb/franz-go/plugin/kslog"
)

// SASL says how to authenticate to the brokers.
type SASL struct {
	// Mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; empty for none.
	Mechanism string
	User      string
	Password  string
}

// String tells the mechanism and the user, and leaves the password out, so that
// a printed Config gives nothing away.
func (s SASL) String() string {
	if s.Mechanism == "" {
		return "none"
	}
	return s.Mechanism + " as " + s.User
}

// GoString is String: %#v must not print the password either.
func (s SASL) GoString() string { return s.String() }

func (s SASL) validate() error {
	switch s.Mechanism {
	case "":
		if s.User != "" || s.Password != "" {
			return errors.New("kafka: SASL.User or SASL.Password is set, but SASL.Mechanism is not")
		}
		return nil
	case "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512":
		if s.User == "" || s.Password == "" {
			return fmt.Errorf("kafka: SASL.Mechanism is %s, but SASL.User or SASL.Password is empty", s.Mechanism)
		}
		return nil
	}
	return fmt.Errorf("kafka: SASL.Mechanism is %q: it must be PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", s.Mechanism)
}

func (s SASL) mechanism() sasl.Mechanism {
	switch s.Mechanism {
	case "PLAIN":
		return plain.Auth{User: s.User, Pass: s.Password}.AsMechanism()
	case "SCRAM-SHA-256":
		return scram.Auth{User: s.User, Pass: s.Password}.AsSha256Mechanism()
	case "SCRAM-SHA-512":
		return scram.Auth{User: s.User, Pass: s.Password}.AsSha512Mechanism()
	}
	return nil
}

// ClientOptions returns the options that every client of the brokers of c begins
// with, for package kafkalog, which makes clients of its own for the control plane.
// It does not validate c.
func (c *Config) ClientOptions() []kgo.Opt { return c.clientOptions(nil) }

// clientOptions returns the options that all clients share. wrap, if not nil,
// gets every new connection, and what it returns is used in its place.
func (c *Config) clientOptions(wrap func(net.Conn) net.Conn) []kgo.Opt {
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.ClientID(c.ClientID),
		kgo.SoftwareNameAndVersion("godwit", "1"),
		kgo.Dialer(c.dialer(wrap)),
		// A leader that moved is found by metadata; the client asks for it at most
		// this often. The default of 5 s would be most of a failover.
		kgo.MetadataMinAge(minMetadataAge),
		// A broker that hangs keeps its connections: only the lack of an answer shows it,
		// beyond the time that the request itself gave it. The default is 10 s.
		kgo.RequestTimeoutOverhead(attemptTimeout),
		// The brokers need not hear of our latencies.
		kgo.DisableClientMetrics(),
	}
	if c.Logger != nil {
		log := c.clientLog()
		opts = append(opts, kgo.WithLogger(kslog.New(slog.New(log))), kgo.WithHooks(log))
	}
	if m := c.SASL.mechanism(); m != nil {
		opts = append(opts, kgo.SASL(m))
	}
	return opts
}

// clientLog returns the log of a client; c has a Logger.
func (c *Config) clientLog() *clientLog {
	t := c.trouble
	if t == nil {
		t = new(trouble)
	}
	return &clientLog{c.Logger.Handler(), t}
}

// dialer returns the function that connects to a broker, plain or by TLS.
func (c *Config) dialer(wrap func(net.Conn) net.Conn) func(context.Context, string, string) (net.Conn, error) {
	if wrap == nil {
		wrap = func(conn net.Conn) net.Conn { return conn }
	}
	plainDialer := &net.Dialer{Timeout: c.DialTimeout}
	dial := plainDialer.DialContext
	if c.TLS != nil {
		dial = (&tls.Dialer{NetDialer: plainDialer, Config: c.TLS}).DialContext
	}
	timeout := c.DialTimeout
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return wrap(conn), nil
	}
}
