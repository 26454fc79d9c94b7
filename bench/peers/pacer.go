package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// pacer tells when it is time for the next of many events at a fixed rate. It is a
// timer of the kernel (timerfd_create(2)), because Go's own sleep rounds up to a
// millisecond when a process is idle, and would make bursts of a smooth rate. One
// goroutine owns it.
type pacer struct {
	rate  int
	timer *os.File
	count [8]byte
}

// newPacer returns a pacer for rate events a second, the first of which is due after
// the time between two.
func newPacer(rate int) (*pacer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	period := unix.NsecToTimespec(int64(time.Second) / int64(rate))
	spec := unix.ItimerSpec{Interval: period, Value: period}
	if err := unix.TimerfdSettime(fd, 0, &spec, nil); err != nil {
		_ = unix.Close(fd) // the error above is the one to tell
		return nil, os.NewSyscallError("timerfd_settime", err)
	}
	return &pacer{rate: rate, timer: os.NewFile(uintptr(fd), "timerfd")}, nil
}

// wait waits until events are due, and returns how many.
func (p *pacer) wait() (int64, error) {
	if _, err := p.timer.Read(p.count[:]); err != nil {
		return 0, fmt.Errorf("reading the timer: %w", err)
	}
	return int64(binary.NativeEndian.Uint64(p.count[:])), nil
}

// after returns how long after the pacer was made event n is due; the first is 1.
func (p *pacer) after(n int64) time.Duration {
	return time.Duration(n * (int64(time.Second) / int64(p.rate)))
}

func (p *pacer) close() { _ = p.timer.Close() }
