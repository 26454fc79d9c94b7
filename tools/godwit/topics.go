package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/godwit-im/godwit/backplane/cluster/kafkalog"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/server"
	"github.com/godwit-im/godwit/server/config"
)

const topicsTimeout = 30 * time.Second

func newTopics() *cobra.Command {
	cmd := &cobra.Command{Use: "topics", Short: "Make and check the topics", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(newTopicsCreate(), newTopicsVerify())
	return cmd
}

func newTopicsCreate() *cobra.Command {
	o := kafka.DefaultTopicOptions()
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make the topics",
		Long: `Make the topics of the settings: that of the messages, by their brokers, namespace,
generation and number of partitions, and those by which a cluster is controlled and
its nodes' heartbeats are told. Topics that are there stay as they are. The number of
partitions cannot be changed later.

--retention and --retention-bytes are for the messages. The other two keep what they
need: the cluster's records for ever, heartbeats for ten minutes.`,
		Example: "  godwit topics create --config godwit.yaml\n  godwit topics create --kafka-brokers 127.0.0.1:9092 --replication 1 --min-insync 1",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, kc, err := logConfig(cmd.Flags())
			if err != nil {
				return err
			}
			if o.MinInsync < 1 || o.MinInsync > int(o.Replicas) {
				return usagef("--min-insync is %d and --replication %d: there must be 1 to as many in-sync replicas as replicas", o.MinInsync, o.Replicas)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), topicsTimeout)
			defer cancel()
			return createTopics(ctx, cmd.OutOrStdout(), kc, o)
		},
	}
	addTopicsFlags(cmd)
	cmd.Flags().Int16Var(&o.Replicas, "replication", o.Replicas, "brokers that hold each partition")
	cmd.Flags().IntVar(&o.MinInsync, "min-insync", o.MinInsync, "of them, how many must have a record before it is acknowledged")
	cmd.Flags().DurationVar(&o.Retention, "retention", o.Retention, "how long records are kept; negative for ever")
	cmd.Flags().Int64Var(&o.RetentionBytes, "retention-bytes", o.RetentionBytes, "bound of each partition in bytes; negative for none")
	return cmd
}

// createTopics makes the topics that are not there. It fails if all are.
func createTopics(ctx context.Context, out io.Writer, kc kafka.Config, o kafka.TopicOptions) error {
	var lines strings.Builder
	existing := kafka.Create(ctx, kc, o)
	switch {
	case existing == nil:
		fmt.Fprintf(&lines, "created %s with %d partitions, replication %d\n", kc.Topic(), kc.Partitions, o.Replicas)
	case !errors.Is(existing, kafka.ErrTopicExists):
		return existing
	}
	made, err := kafkalog.Create(ctx, kc, kafkalog.TopicOptions{Replicas: o.Replicas, MinInsync: o.MinInsync})
	for _, topic := range made {
		fmt.Fprintf(&lines, "created %s, replication %d\n", topic, o.Replicas)
	}
	if _, printing := io.WriteString(out, lines.String()); err == nil {
		err = printing
	}
	if err == nil && lines.Len() == 0 {
		err = existing
	}
	return err
}

func newTopicsVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check the topics as godwit serve does",
		Long: `Check the topics as godwit serve does. Those of a cluster may be missing where the
settings are of a node that is not in one.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, kc, err := logConfig(cmd.Flags())
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), topicsTimeout)
			defer cancel()
			if _, err := kafka.Verify(ctx, kc, false); err != nil {
				return err
			}
			good := []string{kc.Topic()}
			_, err = kafkalog.Verify(ctx, kc, false)
			switch {
			case err == nil:
				good = append(good, kafkalog.ClusterTopic(kc.Namespace), kafkalog.HeartbeatsTopic(kc.Namespace))
			case c.Cluster.Enabled || !errors.Is(err, kafka.ErrNoTopic):
				return err
			}
			for _, topic := range good {
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is as it should be\n", topic); err != nil {
					return err
				}
			}
			return nil
		},
	}
	addTopicsFlags(cmd)
	return cmd
}

// addTopicsFlags adds the settings as godwit serve has them, so that both take the same
// file. Help shows those that matter here.
func addTopicsFlags(cmd *cobra.Command) {
	config.AddFlags(cmd.Flags(), config.Default())
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		f.Hidden = f.Name != config.FileFlag && !strings.HasPrefix(f.Name, "kafka-")
	})
	cmd.Flags().SortFlags = false
}

// logConfig returns the settings that flags, the file that they name and variables make, and
// how their log is reached. The settings are nil if they cannot be read.
func logConfig(flags *pflag.FlagSet) (*config.Config, kafka.Config, error) {
	c, err := config.Load(config.Default(), os.Environ(), flags)
	if c == nil {
		return nil, kafka.Config{}, err
	}
	// What else is missing for a node, such as the token key, does not matter here;
	// what matters is checked by package kafka.
	kc, err := server.KafkaConfig(c, slog.New(slog.DiscardHandler))
	return c, kc, err
}
