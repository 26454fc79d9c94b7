package report

import (
	"os"
	"runtime"
	"strconv"
	"strings"
)

// Versions say what was tested, and on what.
type Versions struct {
	Godwit string `json:"godwit"` // of the binary under test
	Kafka  string `json:"kafka"`
	Store  string `json:"store,omitempty"` // of history
	Go     string `json:"go"`
	System string `json:"system"` // GOOS/GOARCH
	Kernel string `json:"kernel"`
	Cores  int    `json:"cores"`
	Memory int64  `json:"memory_bytes"`
}

// Machine returns what is known of the machine that this process runs on, and of the Go
// that it was built with. What cannot be read is left empty.
func Machine() Versions {
	v := Versions{Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU()}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		v.Kernel = strings.TrimSpace(string(release))
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		v.Memory = memTotal(string(text))
	}
	return v
}

// memTotal returns the memory in bytes by proc_meminfo(5), 0 if it does not tell.
func memTotal(text string) int64 {
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "MemTotal:" {
			kb, _ := strconv.ParseInt(fields[1], 10, 64)
			return kb << 10
		}
	}
	return 0
}
