package cassandra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/apache/cassandra-gocql-driver/v2"
)

// session is a session of the client that can be closed at any time.
type session struct {
	*gocql.Session
	dialer *dialer
	log    *slog.Logger
}

// Close ends the session and its connections. The client's own Close waits for ever if it
// meets the replacement of the connection that the client hears of the cluster by (in
// v2.1.2: it waits for the goroutine that replaces it, and that for one that Close has
// already stopped). So the connections are cut first: a replacement under way fails, and
// none begins. Where one comes through in that moment, a few goroutines are given up.
func (s *session) Close() {
	s.dialer.cut()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Session.Close()
	}()
	select {
	case <-done:
	case <-time.After(closeTimeout):
		s.log.Warn("cassandra: the client does not close its session", "after", closeTimeout)
	}
}

// connect opens a session whose statements each take at most timeout, tries at other
// nodes included.
func connect(ctx context.Context, cfg *Config, timeout time.Duration) (*session, error) {
	d := &dialer{conns: make(map[*dialedConn]struct{})}
	c := gocql.NewCluster(cfg.Hosts...)
	c.ProtoVersion = 5 // of Cassandra 4.0
	attempt := timeout / (retries + 1)
	c.Timeout, c.WriteTimeout, c.ConnectTimeout = attempt, attempt, attempt
	c.NumConns = cfg.Connections
	c.ReconnectInterval = reconnect
	c.MaxWaitSchemaAgreement = adminTimeout
	d.Timeout, d.KeepAlive = attempt, 15*time.Second
	c.Dialer = d
	c.Consistency = gocql.Quorum
	if cfg.Consistency == LocalQuorum {
		c.Consistency = gocql.LocalQuorum
	}
	c.DefaultIdempotence = true
	c.DefaultTimestamp = false // statements that care say their own
	c.RetryPolicy = &gocql.SimpleRetryPolicy{NumRetries: retries}
	c.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(gocql.RoundRobinHostPolicy())
	if cfg.Datacenter != "" {
		c.HostFilter = gocql.DataCenterHostFilter(cfg.Datacenter)
	}
	// The keyspace need not exist yet, so it is in the statements and not the session's.
	c.Metadata.CacheMode = gocql.KeyspaceOnly
	c.Logger = clientLog{cfg.logger()}
	if cfg.Username != "" {
		c.Authenticator = gocql.PasswordAuthenticator{Username: cfg.Username, Password: cfg.Password}
	}
	if cfg.TLS != nil {
		c.SslOpts = &gocql.SslOptions{Config: cfg.TLS, EnableHostVerification: !cfg.TLS.InsecureSkipVerify}
	}

	// The client cannot be told to stop connecting, but it ends by itself in ConnectTimeout.
	type result struct {
		session *session
		err     error
	}
	done := make(chan result, 1)
	go func() {
		s, err := c.CreateSession()
		done <- result{&session{s, d, cfg.logger()}, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, failed("connect", r.err)
		}
		if err := oneDatacenter(cfg, r.session.Session); err != nil {
			r.session.Close()
			return nil, err
		}
		return r.session, nil
	case <-ctx.Done():
		go func() {
			if r := <-done; r.err == nil {
				r.session.Close()
			}
		}()
		return nil, failed("connect", ctx.Err())
	}
}

// oneDatacenter refuses to choose among several data centres: what is written to one by
// LOCAL_QUORUM is not at once in the others.
func oneDatacenter(cfg *Config, s *gocql.Session) error {
	if cfg.Consistency != LocalQuorum || cfg.Datacenter != "" {
		return nil
	}
	first := ""
	for _, h := range s.GetHosts() {
		if first == "" {
			first = h.DataCenter()
		}
		if h.DataCenter() != first {
			return fmt.Errorf("cassandra: Datacenter is empty, but there are %q and %q: with %s, all of godwit must use one",
				first, h.DataCenter(), LocalQuorum)
		}
	}
	return nil
}

// invalid reports whether the cluster says that a statement makes no sense: here, that
// a table or the keyspace does not exist.
func invalid(err error) bool {
	var e gocql.RequestError
	return errors.As(err, &e) && e.Code() == gocql.ErrCodeInvalid
}

// clientLog is the client's log. What it calls an error or a warning is mostly a node
// that it cannot reach and will try again, which callers learn from their calls.
type clientLog struct{ log *slog.Logger }

func (l clientLog) Error(msg string, fields ...gocql.LogField) { l.write(slog.LevelWarn, msg, fields) }

func (l clientLog) Warning(msg string, fields ...gocql.LogField) {
	l.write(slog.LevelInfo, msg, fields)
}

func (l clientLog) Info(msg string, fields ...gocql.LogField) { l.write(slog.LevelDebug, msg, fields) }

// Debug drops the message: the client tells every attempt to connect.
func (l clientLog) Debug(string, ...gocql.LogField) {}

func (l clientLog) write(level slog.Level, msg string, fields []gocql.LogField) {
	ctx := context.Background()
	if !l.log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, len(fields))
	for i, f := range fields {
		attrs[i] = slog.String(f.Name, f.Value.String())
	}
	l.log.LogAttrs(ctx, level, "cassandra: "+msg, attrs...)
}
