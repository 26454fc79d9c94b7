package reactor

import (
	"fmt"
	"log/slog"
)

// logger writes gnet's log to ours.
type logger struct{ log *slog.Logger }

func (l logger) Debugf(format string, args ...any) { l.log.Debug(fmt.Sprintf(format, args...)) }

// Infof logs at debug: gnet tells what concerns only its developers.
func (l logger) Infof(format string, args ...any)  { l.log.Debug(fmt.Sprintf(format, args...)) }
func (l logger) Warnf(format string, args ...any)  { l.log.Warn(fmt.Sprintf(format, args...)) }
func (l logger) Errorf(format string, args ...any) { l.log.Error(fmt.Sprintf(format, args...)) }

// Fatalf logs an error. gnet's own would end the process here; the reactor finds
// out that the engine has ended and lets the node stop in order.
func (l logger) Fatalf(format string, args ...any) { l.log.Error(fmt.Sprintf(format, args...)) }
