package world

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/godwit-im/godwit/tools/processtest"
)

// root is the folder of the repository, and binary the godwit command, built from it.
var root, binary string

func TestMain(m *testing.M) {
	root, binary = processtest.Godwit("../../..", "verify-world/godwit")
	goleak.VerifyTestMain(m)
}
