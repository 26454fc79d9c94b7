package client

import (
	"context"
	"errors"
	"time"

	"github.com/godwit-im/godwit/codec"
)

// runner is what Run knows while it runs. One goroutine owns it.
type runner struct {
	*Client
	at        endpoint // where to connect next
	backoff   backoff
	redirects int // without a stable connection between them

	user    string // that the last welcome named
	token   string // that the last attempt used
	refused string // the last token that was refused or has expired
	why     error  // what was said then

	seen seen // the messages of late
	gone Gone // what was last told to be gone
}

// closeNormal is the close code of an end that both sides expect (RFC 6455, section 7.4.1).
const closeNormal = 1000

// run returns nil when ctx has ended, else why it would be pointless to go on.
func (r *runner) run(ctx context.Context) error {
	for {
		r.tell(State{Phase: Connecting})
		err := r.once(ctx)
		if ctx.Err() != nil {
			r.tell(State{Phase: Disconnected, Final: true})
			return nil
		}
		at := r.at
		pause, fatal := r.decide(err)
		r.log.Warn("disconnected", "url", at.String(), "err", err, "retry_in", pause, "final", fatal)
		r.tellFrom(at, State{Phase: Disconnected, Err: err, RetryIn: pause, Final: fatal})
		if fatal {
			return err
		}
		if sleep(ctx, pause) == nil && classify(err) == askRoute && r.user != "" {
			r.ask(ctx)
		}
	}
}

// once connects and stays connected as long as that works.
func (r *runner) once(ctx context.Context) error {
	token, err := r.opts.Token(ctx)
	if err != nil {
		return &TokenError{err}
	}
	r.token = token
	if r.why != nil && token == r.refused {
		return &sameTokenError{r.why}
	}
	k, err := r.connect(ctx, r.at, token)
	if err != nil {
		return err
	}
	defer k.end()
	r.user = k.welcome.User
	since := time.Now()
	stop := context.AfterFunc(ctx, func() { k.leave(closeNormal) })
	defer stop()
	welcome := k.welcome
	r.log.Info("connected", "url", r.at.String(), "user", welcome.User, "node", welcome.Node, "resumed", welcome.Resumed)
	r.tell(State{Phase: Connected, Welcome: &welcome})
	r.advance(string(welcome.Cursor), eventSize, nil)
	r.set(k)
	defer r.set(nil) // before end: whoever waits for an attempt then asks for a connection
	err = k.reason(r.receive(k))
	if time.Since(since) >= stableAfter {
		r.backoff.reset()
		r.redirects = 0
	}
	k.mu.Lock()
	r.token = k.token
	k.mu.Unlock()
	return err
}

// sameTokenError says that the token that was refused is all that there is.
type sameTokenError struct{ error }

func (e *sameTokenError) Unwrap() error { return e.error }

// decide sets where to connect next and returns how long to wait before, or that there is
// no next.
func (r *runner) decide(err error) (pause time.Duration, fatal bool) {
	if same := (*sameTokenError)(nil); errors.As(err, &same) {
		return 0, true
	}
	from := r.at
	r.at = r.home
	if r.forget(err) {
		return pauseFor(err) + r.backoff.next(), false
	}
	switch classify(err) {
	case giveUp:
		return 0, true
	case redirect:
		var moved *MovedError
		errors.As(err, &moved)
		if r.redirected(from, moved) {
			return moved.RetryAfter, false
		}
	case newToken:
		r.refused, r.why = r.token, err
	}
	return pauseFor(err) + r.backoff.next(), false
}

// redirected reports whether the client goes where it is directed.
func (r *runner) redirected(from endpoint, moved *MovedError) bool {
	r.redirects++
	if r.redirects > maxRedirects {
		r.redirects = 0
		return false
	}
	to, err := from.follow(moved)
	if err != nil {
		r.report(err)
		return false
	}
	r.at = to
	return true
}

// ask asks the node of the options for the route and goes there. Where that does not work
// the client connects to that node: it directs, too.
func (r *runner) ask(ctx context.Context) {
	moved, err := r.route(ctx, r.home, r.user)
	if err == nil {
		r.redirected(r.home, moved)
		return
	}
	if ctx.Err() == nil {
		r.report(err)
	}
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
func (r *runner) receive(k *conn) error {
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
			k.acked(&f.Ack)
		case codec.FrameHistoryPage:
			k.answered(&f.HistoryPage)
		case codec.FrameMoved:
			k.toldMoved(&f.Moved)
		case codec.FrameError:
			k.cause = f.Error
			r.report(&ServerError{Code: f.Error.Code, Message: f.Error.Message})
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
