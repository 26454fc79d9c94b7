package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/godwit-im/godwit/backplane/history/cassandra"
	"github.com/godwit-im/godwit/server"
	"github.com/godwit-im/godwit/server/config"
	"github.com/godwit-im/godwit/server/historian"
)

// createTimeout bounds the making of tables, each of which a cluster has to agree on.
const createTimeout = 5 * time.Minute

func newHistory() *cobra.Command {
	cmd := &cobra.Command{Use: "history", Short: "Write, look at, erase and rebuild the history of users", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(newHistoryRun(), newHistoryCreate(), newHistoryRebuild(), newHistoryErase(), newHistoryShow())
	return cmd
}

func newHistoryRun() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Write the history of a cluster to Cassandra",
		Long: `Read the messages topic and write users' timelines to Cassandra, until SIGINT or
SIGTERM.

It takes the settings of godwit serve, and the same file. Several of these processes
divide the partitions among themselves; when one is gone, the others take over. A
node with history.store: pebble writes its own history and needs none.

The admin port serves /healthz, /metrics, and /readyz, which warns when history
falls behind what the log will delete.`,
		Example: "  godwit history run --config godwit.yaml --admin 127.0.0.1:8082",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := historySettings(cmd)
			if err != nil {
				return err
			}
			if err := needCassandra(c, "the node writes its history itself, so there is nothing to run"); err != nil {
				return err
			}
			return runHistory(cmd, c)
		},
	}
	addHistoryFlags(cmd, "history-", "kafka-", "log-", "admin", "workers", "unsafe")
	return cmd
}

func runHistory(cmd *cobra.Command, c *config.Config) error {
	log, err := newLogger(c.Log, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p, err := server.StartHistory(ctx, c, log)
	if err != nil {
		return err
	}
	log.Info("writing history", "group", historian.Group(c.Kafka.Namespace, c.Kafka.Generation), "admin", p.AdminURL())
	<-ctx.Done()
	log.Info("stopping")
	stop() // from here on a signal has its usual effect
	end, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return p.Stop(end)
}

func newHistoryCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make the keyspace and the tables in Cassandra",
		Long: `Make the keyspace and the tables that the settings name, with history.cassandra.replication
replicas in each data centre. What is there already stays as it is.`,
		Example: "  godwit history create --config godwit.yaml\n  godwit history create --history-cassandra-hosts 127.0.0.1 --history-cassandra-replication 1",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := historySettings(cmd)
			if err != nil {
				return err
			}
			if err := needCassandra(c, "its files are made by the node"); err != nil {
				return err
			}
			log, err := newLogger(c.Log, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			cc, err := historian.CassandraConfig(c, log)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), createTimeout)
			defer cancel()
			if err := cassandra.Create(ctx, cc); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "keyspace %s has its tables\n", cc.Keyspace)
			return err
		},
	}
	addHistoryFlags(cmd, "history-", "kafka-namespace")
	return cmd
}

// addHistoryFlags adds the settings as godwit serve has them, so that all take the same
// file. Help shows those whose names begin with one of some prefixes.
func addHistoryFlags(cmd *cobra.Command, shown ...string) {
	config.AddFlags(cmd.Flags(), config.Default())
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		f.Hidden = f.Name != config.FileFlag && !slices.ContainsFunc(shown, func(p string) bool { return strings.HasPrefix(f.Name, p) })
	})
	cmd.Flags().SortFlags = false
}

// historySettings returns the settings. What is wrong with those that only a node needs,
// such as the token's key, does not matter.
func historySettings(cmd *cobra.Command) (*config.Config, error) {
	c, err := config.Load(config.Default(), os.Environ(), cmd.Flags())
	var wrong *config.Error
	if c == nil || err != nil && !errors.As(err, &wrong) {
		return nil, err
	}
	if wrong == nil {
		return c, nil
	}
	left := slices.DeleteFunc(slices.Clone(wrong.Findings), func(f config.Finding) bool {
		return !slices.ContainsFunc([]string{"history.", "kafka.", "log.", "admin", "workers"}, func(prefix string) bool {
			return strings.HasPrefix(f.Setting, prefix)
		})
	})
	if len(left) > 0 {
		return nil, &config.Error{Findings: left}
	}
	return c, nil
}

// needCassandra refuses settings with another store. pebble says why that one is not
// meant.
func needCassandra(c *config.Config, pebble string) error {
	switch c.History.Store {
	case config.HistoryCassandra:
		return nil
	case config.HistoryPebble:
		return fmt.Errorf("history.store is %q: %s", c.History.Store, pebble)
	}
	return fmt.Errorf("history.store is %q: no history is kept", c.History.Store)
}

// confirm asks the person at the terminal whether to go on.
func confirm(cmd *cobra.Command, question string) error {
	fmt.Fprintf(cmd.ErrOrStderr(), "%s Type yes to go on: ", question)
	line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil && err != io.EOF {
		return err
	}
	if strings.TrimSpace(line) != "yes" {
		fmt.Fprintln(cmd.ErrOrStderr())
		return errors.New("not confirmed, and nothing was done: type yes, or give --yes")
	}
	return nil
}
