package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/godwit-im/godwit/codec"
)

// Server is the admin port. It is also a prometheus.Collector of its own metrics.
type Server struct {
	// Static after construction.
	config   Config
	limits   codec.Limits
	bodyMax  int64 // of a request, in bytes
	address  net.Addr
	server   *http.Server
	requests *prometheus.CounterVec
	accepts  sync.WaitGroup // the goroutine that accepts

	// sends holds an entry for each send that is read or waits for the log, questions one
	// for each request about a timeline, proposals one for each request to a controller,
	// and watchers one for each stream.
	sends, questions, proposals, watchers chan struct{}

	// closing is closed when the server is told to stop: then streams end.
	closing chan struct{}
	once    sync.Once // closes it
}

// New checks cfg, listens, and serves from a goroutine of its own until Close.
func New(cfg Config) (*Server, error) {
	address, err := cfg.resolve()
	if err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	s := &Server{
		config: cfg,
		limits: codec.Limits{Body: cfg.Body, Recipients: codec.DefaultLimits.Recipients},
		sends:  make(chan struct{}, maxSends), questions: make(chan struct{}, maxQuestions),
		proposals: make(chan struct{}, maxProposals), watchers: make(chan struct{}, maxWatchers),
		closing: make(chan struct{}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "godwit", Subsystem: "admin", Name: "requests_total",
			Help: "Requests to the admin port, by endpoint, method and HTTP status.",
		}, []string{"endpoint", "method", "code"}),
	}
	s.bodyMax = int64(s.limits.MaxFrame(codec.JSON) + originBytes)
	listener, err := net.ListenTCP("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("admin: cannot listen on %s: %w", cfg.Listen, err)
	}
	s.address = listener.Addr()
	s.server = &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(cfg.Log.Handler(), slog.LevelWarn),
	}
	limited := newLimitListener(listener, maxConnections)
	s.accepts.Go(func() {
		if err := s.server.Serve(limited); !errors.Is(err, http.ErrServerClosed) {
			cfg.Log.Error("the admin port stopped", "err", err)
		}
	})
	return s, nil
}

// Addr returns the address that is listened on.
func (s *Server) Addr() net.Addr { return s.address }

// Close stops listening and waits until the requests at hand are answered. When ctx
// ends first, it cuts them off and returns ctx's error. The producer must work
// until Close has returned.
func (s *Server) Close(ctx context.Context) error {
	s.once.Do(func() { close(s.closing) })
	err := s.server.Shutdown(ctx)
	if err != nil {
		s.server.Close()
	}
	s.accepts.Wait()
	return err
}

// Describe implements prometheus.Collector.
func (s *Server) Describe(ch chan<- *prometheus.Desc) { s.requests.Describe(ch) }

// Collect implements prometheus.Collector.
func (s *Server) Collect(ch chan<- prometheus.Metric) { s.requests.Collect(ch) }

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern, endpoint string, guard func(http.Handler) http.Handler, h http.Handler) {
		counter := s.requests.MustCurryWith(prometheus.Labels{"endpoint": endpoint})
		mux.Handle(pattern, promhttp.InstrumentHandlerCounter(counter, guard(h)))
	}
	handle("GET /healthz", "healthz", s.open, http.HandlerFunc(s.health))
	handle("GET /readyz", "readyz", s.open, http.HandlerFunc(s.ready))
	handle("GET /metrics", "metrics", s.open, promhttp.HandlerFor(s.config.Gatherer, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(s.config.Log.Handler(), slog.LevelError),
	}))
	// Index also serves the profiles by their names; these four are not profiles.
	handle("GET /debug/pprof/", "pprof", s.guard, http.HandlerFunc(pprof.Index))
	handle("GET /debug/pprof/cmdline", "pprof", s.guard, http.HandlerFunc(pprof.Cmdline))
	handle("GET /debug/pprof/profile", "pprof", s.guard, http.HandlerFunc(pprof.Profile))
	handle("GET /debug/pprof/symbol", "pprof", s.guard, http.HandlerFunc(pprof.Symbol))
	handle("GET /debug/pprof/trace", "pprof", s.guard, http.HandlerFunc(pprof.Trace))
	if s.config.Producer != nil {
		handle("POST /v1/messages", "messages", s.guard, sameOrigin(s.messages))
	}
	if s.config.Timelines != nil {
		handle("GET /v1/history", "history", s.guard, sameOrigin(s.history))
		handle("DELETE /v1/history", "history", s.guard, sameOrigin(s.erase))
	}
	if s.config.Cluster != nil {
		handle("GET /v1/cluster", "cluster", s.guard, sameOrigin(s.clusterStatus))
		handle("GET /v1/cluster/watch", "cluster_watch", s.guard, sameOrigin(s.clusterWatch))
		handle("POST /v1/cluster/requests", "cluster_requests", s.guard, sameOrigin(s.clusterRequests))
		handle("GET /v1/route", "route", s.guard, sameOrigin(s.clusterRoute))
		handle("GET /v1/map", "map", s.guard, sameOrigin(s.clusterMap))
	}
	if s.config.Sign != nil {
		handle("GET /dev/token", "token", s.guard, sameOrigin(s.token))
	}
	if s.config.Pages != nil {
		handle("GET /", "pages", s.guard, s.config.Pages)
	}
	return mux
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok") }

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if err := s.config.Ready(); err != nil {
		w.Header().Set("Retry-After", retryAfter)
		writeText(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	text := "ready"
	if s.config.Warning != nil {
		if err := s.config.Warning(); err != nil {
			text += "\nwarning: " + err.Error()
		}
	}
	writeText(w, http.StatusOK, text)
}

func writeText(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}
