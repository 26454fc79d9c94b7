package processtest

import (
	"testing"

	"github.com/godwit-im/godwit/tools/process"
)

// FreePorts returns ports of 127.0.0.1 that nobody listens on; see process.FreePorts. Processes
// that must know each other's before they start have use for them.
func FreePorts(t testing.TB, n int) []int {
	t.Helper()
	ports, err := process.FreePorts(n)
	if err != nil {
		t.Fatal(err)
	}
	return ports
}
