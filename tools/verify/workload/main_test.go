package workload

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/godwit-im/godwit/tools/processtest"
)

// root is the folder of the repository, and command the godwit command, built from it.
var root, command string

func TestMain(m *testing.M) {
	var err error
	if root, err = filepath.Abs("../../.."); err == nil {
		command, err = processtest.Build(root, "verify/godwit", root, "./tools/godwit")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}
