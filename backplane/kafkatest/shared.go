package kafkatest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// sharedProcess is the node that all tests of a process use that do not need one
// of their own.
type sharedProcess struct {
	once    sync.Once
	process *Process
	err     error
}

var shared sharedProcess

// brokers returns the addresses of Apache Kafka, which it starts if needed.
func (s *sharedProcess) brokers(t testing.TB) []string {
	t.Helper()
	if list := os.Getenv(brokersVariable); list != "" {
		return strings.Split(list, ",")
	}
	Need(t)
	s.once.Do(func() {
		data, err := os.MkdirTemp("", "godwit-kafka-")
		if err != nil {
			s.err = err
			return
		}
		if s.process, s.err = alone(data); s.err == nil {
			s.err = s.process.start()
		}
	})
	if s.err != nil {
		t.Fatal(s.err)
	}
	return []string{s.process.node.Address()}
}

func (s *sharedProcess) stop() {
	if s.process != nil {
		s.process.Kill()
		os.RemoveAll(s.process.node.Data)
	}
}

// Need skips a test that starts Apache Kafka by itself where that cannot be done.
func Need(t testing.TB) {
	t.Helper()
	if err := available(); err != nil {
		unavailable(t, err)
	}
}

// available returns why this process may not start Apache Kafka, nil if it may.
func available() error {
	if os.Getenv(requireVariable) == "1" {
		return nil // the script fetches what is missing, or says why it cannot
	}
	if testing.Short() {
		return errors.New("not with -short")
	}
	if _, err := exec.LookPath("java"); err != nil {
		return errors.New("there is no java to run it")
	}
	cache := os.Getenv("GODWIT_CACHE")
	if cache == "" {
		root, err := repository()
		if err != nil {
			return err
		}
		cache = filepath.Join(root, ".cache")
	}
	if _, err := os.Stat(filepath.Join(cache, "kafka-libs", "complete")); err != nil {
		return errors.New("its jars were not fetched (tools/kafka/kafka.sh fetch)")
	}
	return nil
}

func unavailable(t testing.TB, why error) {
	t.Helper()
	t.Skipf("no Apache Kafka: %v; %s names one, and %s=1 makes this a failure", why, brokersVariable, requireVariable)
}

// repository returns the folder of the repository, which the tests run in.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "tools", "kafka", "kafka.sh")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("kafkatest: tools/kafka/kafka.sh is not in a folder above this test")
		}
		dir = parent
	}
}
