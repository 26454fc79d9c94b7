package processtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Cache returns the folder for what tests fetch and build, as an absolute path: the one
// that GODWIT_CACHE names, or .cache in root, which is the folder of the repository.
func Cache(root string) (string, error) {
	cache := os.Getenv("GODWIT_CACHE")
	if cache == "" {
		cache = filepath.Join(root, ".cache")
	}
	return filepath.Abs(cache)
}

// Build builds pkg of the module in the folder module and returns the program, whose file is
// name in the cache folder. Test binaries run side by side, so each needs a name of its
// own, such as e2e/godwit. flags go to go build.
func Build(root, name, module, pkg string, flags ...string) (program string, err error) {
	cache, err := Cache(root)
	if err != nil {
		return "", err
	}
	program = filepath.Join(cache, name)
	cmd := exec.Command("go", append(append([]string{"build"}, flags...), "-o", program, pkg)...)
	cmd.Dir = module
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("processtest: building %s: %w\n%s", name, err, out)
	}
	return program, nil
}

// Godwit builds the godwit command of the repository in the folder root, as Build does, and
// returns root as an absolute path, and the program. It is for TestMain: if it fails it says so
// and ends the process.
func Godwit(root, name string) (abs, program string) {
	abs, err := filepath.Abs(root)
	if err == nil {
		program, err = Build(abs, name, abs, "./tools/godwit")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return abs, program
}
