package client

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// runner is what Run knows while it runs. One goroutine owns it.
type runner struct {
	*Client
	at        endpoint       // where to connect next
	ready     *move          // the way there, if a connection before has prepared it
	asking    verdict        // before that: elsewhere or askRoute, or neither
	routed    bool           // the last question for the route was answered, and nobody has said welcome since
	redirects int            // without a stable connection between them
	helpers   sync.WaitGroup // the goroutines of moves, and of connections that retire

	user     string // that the last welcome named
	lastUsed string // the token of the last attempt
	refused  string // the last token that was refused or has expired
	why      error  // what was said then

	seen seen // the messages of late
	gone Gone // what was last told to be gone
}

// closeNormal is the close code of an end that both sides expect (RFC 6455, section 7.4.1).
const closeNormal = 1000

// run returns nil when ctx has ended, else why it would be pointless to go on.
func (r *runner) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer r.helpers.Wait()
	defer cancel()
	for {
		r.tell(State{Phase: Connecting})
		k, err := r.open(ctx)
		welcomed := err == nil
		if welcomed {
			err = r.serve(ctx, k)
		}
		if ctx.Err() != nil {
			r.tell(State{Phase: Disconnected, Final: true})
			return nil
		}
		at := r.at
		pause, fatal := r.decide(err, welcomed)
		level := slog.LevelWarn
		if r.ready != nil {
			level = slog.LevelInfo // as the cluster wants it
		}
		r.log.Log(ctx, level, "disconnected", "url", at.String(), "err", err, "retry_in", pause, "final", fatal)
		r.tellFrom(at, State{Phase: Disconnected, Err: err, RetryIn: pause, Final: fatal})
		if fatal {
			return err
		}
		if sleep(ctx, pause) == nil {
			r.locate(ctx, at)
		}
	}
}

// open returns a connection that is welcomed.
func (r *runner) open(ctx context.Context) (*conn, error) {
	m := r.ready
	r.ready = nil
	if m == nil {
		token, err := r.token(ctx)
		if err != nil {
			return nil, err
		}
		r.lastUsed = token
		if r.why != nil && token == r.refused {
			return nil, &sameTokenError{r.why}
		}
		return r.reach(ctx, token, nil)
	}
	<-m.done
	m.cancel() // to no effect, but for what it holds
	r.lastUsed = m.token
	if m.err != nil {
		return nil, m.err
	}
	return r.reach(ctx, m.token, m.nc)
}

// serve stays connected as long as that works, and returns why it ended: with a
// *MovedError if another connection is ready, or nearly so.
func (r *runner) serve(ctx context.Context, k *conn) error {
	since := time.Now()
	welcome := k.welcome
	r.user = welcome.User
	r.routed = false
	r.nodes.serves(welcome.MapVersion)
	r.log.Info("connected", "url", r.at.String(), "user", welcome.User, "node", welcome.Node, "resumed", welcome.Resumed)
	r.tell(State{Phase: Connected, Welcome: &welcome})
	r.advance(string(welcome.Cursor), eventSize, nil)
	r.set(k)
	stop := context.AfterFunc(ctx, func() {
		r.set(nil)
		k.retired()
		k.yield()
	})
	defer stop()
	err := r.receive(ctx, k)
	r.set(nil) // before end: whoever waits for an attempt then asks for a connection
	if time.Since(since) >= stableAfter {
		r.nodes.recovered()
		r.redirects = 0
	}
	k.mu.Lock()
	r.lastUsed = k.token
	k.mu.Unlock()
	m := k.takeMove(true)
	if k.unwatch != nil {
		k.unwatch()
	}
	if errors.Is(err, errYield) {
		k.retired()
		r.helpers.Go(func() { r.retire(ctx, k) })
	} else {
		k.end()
	}
	switch {
	case m == nil:
		return err
	case ctx.Err() != nil || classify(err) == giveUp:
		m.abandon()
		return err
	}
	r.ready = m
	return m.moved
}

// sameTokenError says that the token that was refused is all that there is.
type sameTokenError struct{ error }

func (e *sameTokenError) Unwrap() error { return e.error }

// decide sets where to connect next and returns how long to wait before, or that there is
// no next.
func (r *runner) decide(err error, welcomed bool) (pause time.Duration, fatal bool) {
	if r.ready != nil {
		r.at = r.ready.to
		return 0, false
	}
	r.asking = retry
	if same := (*sameTokenError)(nil); errors.As(err, &same) {
		return 0, true
	}
	from := r.at
	if r.forget(err) {
		return pauseFor(err) + r.nodes.failed(from, r.routed), false
	}
	switch classify(err) {
	case giveUp:
		return 0, true
	case redirect:
		var moved *MovedError
		errors.As(err, &moved)
		if to, ok := r.redirected(from, moved); ok {
			r.at = to
			return moved.RetryAfter, false
		}
		r.asking = askRoute
	case newToken:
		r.refused, r.why = r.lastUsed, err
	case askRoute:
		r.asking = askRoute
	case elsewhere:
		r.asking = elsewhere
	case retry:
		if !welcomed { // who took the connection may take another
			r.asking = elsewhere
		}
	}
	return pauseFor(err) + r.nodes.failed(from, r.routed), false
}

// redirected returns where the node at from directs to, and reports whether the client
// goes there.
func (r *runner) redirected(from endpoint, moved *MovedError) (endpoint, bool) {
	r.redirects++
	if r.redirects > maxRedirects {
		r.redirects = 0
		return endpoint{}, false
	}
	to, err := r.nodes.follow(from, moved)
	if err != nil {
		r.report(err)
	}
	return to, err == nil
}

// locate sets where to connect next after trouble with the node at from: it asks the others
// who serves the user, and then that one, if it is only that it does not. Where nobody
// says it, that is the node that has not failed for the longest time: it directs, too.
func (r *runner) locate(ctx context.Context, from endpoint) {
	var nodes []endpoint
	switch r.asking {
	case elsewhere:
		nodes = r.nodes.others(from)
	case askRoute:
		nodes = append(r.nodes.others(from), from)
	default:
		return
	}
	r.asking = retry
	r.routed = false
	if r.user != "" && len(nodes) > 0 {
		to, err := r.route(ctx, nodes, r.user)
		if err == nil {
			r.routed = true
			r.at = to
			return
		}
		if ctx.Err() == nil {
			r.report(err)
		}
	}
	r.at = r.nodes.next()
}

// tell tells the state of the connection to OnState.
func (r *runner) tell(s State) { r.tellFrom(r.at, s) }

func (r *runner) tellFrom(e endpoint, s State) {
	if on := r.opts.OnState; on != nil {
		s.URL = e.String()
		r.events.put(eventSize, func() { on(s) })
	}
}

// report tells an error to OnError.
func (r *runner) report(err error) {
	r.log.Warn("error", "err", err)
	if on := r.opts.OnError; on != nil {
		r.events.put(eventSize, func() { on(err) })
	}
}

// eventSize is about how many bytes of memory an event other than a message takes.
const eventSize = 512

// receive takes what the server sends until the connection ends, and returns why it did.
func (r *runner) receive(ctx context.Context, k *conn) error {
	for {
		f, err := k.next()
		if err != nil {
			return err
		}
		switch f.Type {
		case codec.FrameDeliver:
			r.delivered(k, &f.Deliver)
		case codec.FrameGap:
			r.gap(k, &f.Gap)
		case codec.FrameHeartbeat:
			r.heartbeat(k, &f.Heartbeat)
		case codec.FrameAck:
			if f.Ack.Status == backplane.Stored && k.unwatch != nil {
				k.unwatch() // the node has its log again
				k.unwatch = nil
			}
			k.acked(&f.Ack)
		case codec.FrameHistoryPage:
			k.answered(&f.HistoryPage)
		case codec.FrameMoved:
			r.toldMoved(ctx, k, &f.Moved)
		case codec.FrameError:
			k.cause = f.Error
			r.report(&ServerError{Code: f.Error.Code, Message: f.Error.Message})
			if f.Error.Code == codec.CodeDegraded {
				r.degraded(ctx, k)
			}
		case codec.FramePong, codec.FrameUnknown:
		default:
			return k.violation(errors.New("a second welcome"))
		}
	}
}

// count accounts for the sequence numbers from first to last, or for none if last is one
// below first.
func (r *runner) count(k *conn, first, last uint64) {
	if want := k.seq + 1; first != want || last+1 < first {
		r.report(&SequenceError{Want: want, Got: first})
	}
	k.seq = last
}
