package control

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Stats is how the process does.
type Stats struct {
	Conns int `json:"conns"`
	// RSS is the resident memory in bytes, before the collection that Heap needs.
	RSS int64 `json:"rss"`
	// CPU is the user and system time of the process so far, in microseconds.
	CPU int64 `json:"cpu_us"`
	// Heap and Objects are what a garbage collection leaves, in bytes and objects.
	Heap    int64 `json:"heap"`
	Objects int64 `json:"objects"`
}

func stats(conns int) (Stats, error) {
	rss, err := residentMemory()
	if err != nil {
		return Stats{}, err
	}
	cpu, err := CPU()
	if err != nil {
		return Stats{}, err
	}
	// Two collections: what a sync.Pool holds goes with the second.
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Stats{
		Conns:   conns,
		RSS:     rss,
		CPU:     cpu.Microseconds(),
		Heap:    int64(m.HeapAlloc),
		Objects: int64(m.HeapObjects),
	}, nil
}

// CPU returns the user and system time of this process so far, without that of
// processes that it started.
func CPU() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("control: getrusage: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// residentMemory returns the resident memory of this process in bytes: the
// second field of /proc/self/statm, in pages (proc_pid_statm(5)).
func residentMemory() (int64, error) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, fmt.Errorf("control: %w", err)
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0, errors.New("control: /proc/self/statm has no second field")
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("control: /proc/self/statm: %w", err)
	}
	return pages * int64(os.Getpagesize()), nil
}
