package pebble

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
)

// logger takes what Pebble has to say.
type logger struct {
	log    *slog.Logger
	health *health
}

var _ pebble.Logger = logger{}

func (l logger) Infof(format string, args ...any) {
	l.log.Debug("pebble", "says", fmt.Sprintf(format, args...))
}

func (l logger) Errorf(format string, args ...any) {
	l.log.Warn("pebble", "says", fmt.Sprintf(format, args...))
}

// errEngine is the error of Pebble where it wants the process to end.
var errEngine = errors.New("pebble: history cannot go on before the process is started again")

// Fatalf is where Pebble wants the process to end, because it has found an invariant
// broken. It does not expect to go on, and may hold locks, so its goroutine stays here,
// and the store is not used any more.
func (l logger) Fatalf(format string, args ...any) {
	err := fmt.Errorf("%w: %s", errEngine, fmt.Sprintf(format, args...))
	l.log.Error("history has failed", "err", err)
	l.health.fail(err)
	select {}
}
