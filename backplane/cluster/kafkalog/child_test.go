package kafkalog_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/godwit-im/godwit/backplane/cluster/kafkalog"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/tools/processtest"
)

// childVariable says what a child process is to do, and for which brokers and namespace.
const childVariable = "KAFKALOG_TEST_CHILD"

// child is a controller in a process of its own. With "open" it leaves a transaction
// open until it gets a signal, and then tries to commit it; with "commit" it commits one
// decision after the other until it is fenced. It writes a line for each step.
func child() {
	defer os.Exit(0)
	task := strings.Fields(os.Getenv(childVariable))
	cfg := kafka.DefaultConfig()
	cfg.Brokers, cfg.Namespace = []string{task[1]}, task[2]
	ctx := context.Background()
	if task[0] == "open" {
		leaveOpen(ctx, cfg)
		return
	}
	l, err := kafkalog.Open(ctx, cfg, newState().apply)
	if err != nil {
		panic(err)
	}
	s, err := l.Take(ctx)
	if err != nil {
		panic(err)
	}
	for i := 0; ; i++ {
		err := s.Commit(ctx, decision(fmt.Sprintf("child-0-%d", i)))
		for err != nil && !errors.Is(err, kafkalog.ErrFenced) {
			err = s.Settle(ctx)
		}
		if err != nil {
			fmt.Println("fenced")
			return
		}
		fmt.Println("committed", i)
	}
}

// leaveOpen writes the records of a decision, and does not end it before it is told to.
func leaveOpen(ctx context.Context, cfg kafka.Config) {
	client, err := kgo.NewClient(append(cfg.ClientOptions(),
		kgo.TransactionalID(kafkalog.TransactionalID(cfg.Namespace)), kgo.TransactionTimeout(time.Minute))...)
	if err != nil {
		panic(err)
	}
	if err := client.BeginTransaction(); err != nil {
		panic(err)
	}
	for _, r := range decision("child-0-0") {
		r := &kgo.Record{Topic: kafkalog.ClusterTopic(cfg.Namespace), Key: []byte(r.Key), Value: r.Value}
		if err := client.ProduceSync(ctx, r).FirstErr(); err != nil {
			panic(err)
		}
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGUSR1)
	fmt.Println("open")
	<-told
	if err := client.EndTransaction(ctx, kgo.TryCommit); err != nil {
		fmt.Println("refused")
	} else {
		fmt.Println("committed")
	}
}

// startChild starts a child and waits until it has written a line.
func startChild(t *testing.T, task string, cfg kafka.Config, line string) *processtest.Process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{childVariable + "=" + task + " " + cfg.Brokers[0] + " " + cfg.Namespace}
	p := processtest.Start(t, cmd)
	wrote(t, p, line)
	return p
}

func wrote(t *testing.T, p *processtest.Process, line string) {
	t.Helper()
	eventually(t, "the child wrote "+line, func() bool {
		if p.Ended() && !strings.Contains(p.Stdout.String(), line+"\n") {
			t.Fatalf("the child has ended:\n%s", p.Stderr.String())
		}
		return strings.Contains(p.Stdout.String(), line+"\n")
	})
}

// A controller is killed or stopped in the middle of a decision. Until somebody takes
// its place, nobody sees what was written behind that; whoever takes it sees all, and
// nothing of the decision, also when the other one goes on.
func TestControllerIsLostInADecision(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		name := "killed"
		if stopped {
			name = "stopped"
		}
		t.Run(name, func(t *testing.T) {
			kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
				cfg := config(t, b)
				l, seen := open(t, cfg)
				p := startChild(t, "open", cfg, "open")
				if stopped {
					p.Signal(t, syscall.SIGSTOP)
				} else {
					p.Kill()
				}
				appendAll(t, l, put("request/a", "1"))
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err := l.Barrier(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v behind what is open", err)
				}
				if seen.get("request/a") != "" {
					t.Error("a record was handed out behind one that is not decided")
				}
				ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
				defer cancel()
				if _, err := kafkalog.Open(ctx, cfg, newState().apply); err == nil {
					t.Error("opened behind what is open")
				}
				s := take(t, l)
				if seen.get("request/a") != "1" || seen.get("node/a") != "" {
					t.Errorf("after the taking it has %v", seen.all())
				}
				commit(t, s, decision("1")...)
				if stopped {
					p.Signal(t, syscall.SIGCONT)
					p.Signal(t, syscall.SIGUSR1)
					wrote(t, p, "refused")
				}
				commit(t, s, put("node/c", "1"))
				_, late := open(t, cfg)
				if late.get("node/a") != "1" || late.get("node/c") != "1" || late.get("request/a") != "1" {
					t.Errorf("who comes later has %v", late.all())
				}
			})
		})
	}
}

// A controller is stopped at any moment while it decides, another takes over, and the
// first one goes on: it finds that it is fenced, and nothing of it comes after.
func TestControllerIsStopped(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := config(t, b)
		l, seen := open(t, cfg)
		p := startChild(t, "commit", cfg, "committed 3")
		p.Signal(t, syscall.SIGSTOP)
		s := take(t, l)
		before := len(values(t, seen))
		commit(t, s, decision("other-0-0")...)
		p.Signal(t, syscall.SIGCONT)
		if status := p.Wait(t, patience); status != 0 {
			t.Fatalf("exit status %d", status)
		}
		if !strings.HasSuffix(p.Stdout.String(), "fenced\n") {
			t.Errorf("it ended with %q", processtest.Tail(p.Stdout.String()))
		}
		commit(t, s, decision("other-0-1")...)
		barrier(t, l)
		all := values(t, seen)
		if len(all) != before+2 || all[before] != "other-0-0" || all[before+1] != "other-0-1" {
			t.Errorf("after the %d decisions that were there: %v", before, all[before:])
		}
		if told := strings.Count(p.Stdout.String(), "committed"); before < told {
			t.Errorf("%d decisions are there, and %d were committed", before, told)
		}
	})
}
