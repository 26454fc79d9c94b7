package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/godwit-im/godwit/codec"
)

// verdict is what to do about the end of a connection.
type verdict uint8

const (
	// retry: connect again after a pause.
	retry verdict = iota
	// elsewhere: the same after a pause, but first ask other nodes who serves the user.
	elsewhere
	// giveUp: it would be refused again.
	giveUp
	// newToken: connect again after a pause, but not with the same token.
	newToken
	// redirect: connect where a *MovedError says.
	redirect
	// askRoute: ask any node who serves the user, after a pause: this one does not.
	askRoute
)

// classify decides what to do about the end of a connection. This is the one place for
// the classes of close codes and statuses.
func classify(err error) verdict {
	var (
		moved   *MovedError
		refused *RefusedError
		closed  *CloseError
	)
	switch {
	case errors.As(err, &moved):
		return redirect
	case errors.As(err, &refused):
		return classifyStatus(refused.Status)
	case errors.As(err, &closed):
		return classifyClose(closed.Code)
	case errors.Is(err, ErrNoAnswer):
		return elsewhere
	}
	return retry
}

func classifyStatus(status int) verdict {
	switch status {
	case http.StatusUnauthorized:
		return newToken
	case http.StatusMisdirectedRequest:
		return askRoute
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return retry
	}
	if status >= http.StatusInternalServerError {
		return elsewhere
	}
	return giveUp
}

func classifyClose(code codec.CloseCode) verdict {
	switch {
	case code == codec.CloseTokenExpired:
		return newToken
	case code == codec.CloseGoingAway, code == codec.CloseRestart, code == codec.CloseTryAgainLater:
		return elsewhere
	case code >= 4000 && code < 4100:
		return giveUp
	case code >= 4200 && code < 4300:
		return askRoute
	}
	return retry
}

// pauseFor returns how long the server asks the client to stay away.
func pauseFor(err error) time.Duration {
	var refused *RefusedError
	if errors.As(err, &refused) {
		return min(refused.RetryAfter, maxPause)
	}
	var closed *CloseError
	if errors.As(err, &closed) && closed.Code == codec.CloseTryAgainLater {
		return busyPause
	}
	return 0
}

// backoff gives random pauses between 0 and a bound, which starts at min and doubles each
// time up to max ("full jitter"): clients that failed together do not come back together.
type backoff struct {
	min, max time.Duration
	bound    time.Duration // of the last pause; 0 at the start
}

func (b *backoff) next() time.Duration {
	switch {
	case b.bound == 0:
		b.bound = b.min
	case b.bound > b.max/2:
		b.bound = b.max
	default:
		b.bound *= 2
	}
	return rand.N(b.bound + 1)
}

// sleep waits, and returns the context's cause if that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
