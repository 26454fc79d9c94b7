package historian_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"

	"github.com/godwit-im/godwit/server/config"
	"github.com/godwit-im/godwit/server/historian"
	"github.com/godwit-im/godwit/tools/processtest"
)

// childVariable has the settings of a child process, which writes history until it is
// killed. Variables that begin with GODWIT_ do not reach children.
const childVariable = "HISTORIAN_TEST_CHILD"

// childSettings are the settings that a child needs.
type childSettings struct {
	Kafka   *config.Kafka
	History *config.History
}

// child is the main function of a child process.
func child(settings string) {
	if err := writeForever(settings); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func writeForever(settings string) error {
	c := config.Default()
	if err := json.Unmarshal([]byte(settings), &childSettings{&c.Kafka, &c.History}); err != nil {
		return err
	}
	ctx := context.Background()
	s, err := historian.Open(ctx, &c, kafkaOf(&c), quiet)
	if err != nil {
		return err
	}
	if _, err := historian.Start(writing(&c, s)); err != nil {
		return err
	}
	for told := int64(-1); ; {
		applied, err := s.Applied(ctx, c.Kafka.Generation, c.Kafka.Partitions)
		if err != nil {
			continue // it has waited for the store, which may be slow
		}
		var total int64
		for _, a := range applied {
			total += a.Offset + 1
		}
		if total != told {
			fmt.Println("applied", total)
			told = total
		}
	}
}

// startChild starts a child process that writes the store of b.
func (b *bed) startChild() *processtest.Process {
	b.t.Helper()
	settings, err := json.Marshal(childSettings{&b.settings.Kafka, &b.settings.History})
	if err != nil {
		b.t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = []string{childVariable + "=" + string(settings)}
	return processtest.Start(b.t, cmd)
}
