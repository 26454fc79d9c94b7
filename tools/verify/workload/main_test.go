package workload

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/godwit-im/godwit/tools/processtest"
)

// root is the folder of the repository, and command the godwit command, built from it.
var root, command string

func TestMain(m *testing.M) {
	root, command = processtest.Godwit("../../..", "verify-workload/godwit")
	goleak.VerifyTestMain(m)
}
