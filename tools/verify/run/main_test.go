package run

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/godwit-im/godwit/tools/processtest"
)

// root is the folder of the repository, and binary the godwit command, built from it.
var root, binary string

func TestMain(m *testing.M) {
	var err error
	if root, err = filepath.Abs("../../.."); err == nil {
		binary, err = processtest.Build(root, "verify/godwit", root, "./tools/godwit")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}
