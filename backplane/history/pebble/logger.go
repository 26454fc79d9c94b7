package pebble

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"

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
// broken. It does not expect to go on. A read ends with a panic, which guard turns into
// its error. Anything else may hold locks, and even have let some go that its callers
// let go again when they end, which ends the process. So its goroutine stays here. In
// both cases the store is not used any more.
func (l logger) Fatalf(format string, args ...any) {
	err := fmt.Errorf("%w: %s", errEngine, fmt.Sprintf(format, args...))
	l.log.Error("history has failed", "err", err)
	l.health.fail(err)
	if reading() {
		panic(err)
	}
	select {}
}

// reading reports whether a call of read or prepared is on the stack.
func reading() bool {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, "/history/pebble.(*Store).read") ||
			strings.HasSuffix(f.Function, "/history/pebble.(*Store).prepared") {
			return true
		}
		if !more {
			return false
		}
	}
}
