package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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
		Short: "Make the messages topic",
		Long: `Make the messages topic of the settings: their brokers, namespace, generation and
number of partitions. The number cannot be changed later.`,
		Example: "  godwit topics create --config godwit.yaml\n  godwit topics create --kafka-brokers 127.0.0.1:9092 --replication 1 --min-insync 1",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			kc, err := topicsConfig(cmd)
			if err != nil {
				return err
			}
			if o.MinInsync < 1 || o.MinInsync > int(o.Replicas) {
				return usagef("--min-insync is %d and --replication %d: there must be 1 to as many in-sync replicas as replicas", o.MinInsync, o.Replicas)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), topicsTimeout)
			defer cancel()
			if err := kafka.Create(ctx, kc, o); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "created %s with %d partitions, replication %d\n", kc.Topic(), kc.Partitions, o.Replicas)
			return err
		},
	}
	addTopicsFlags(cmd)
	cmd.Flags().Int16Var(&o.Replicas, "replication", o.Replicas, "brokers that hold each partition")
	cmd.Flags().IntVar(&o.MinInsync, "min-insync", o.MinInsync, "of them, how many must have a record before it is acknowledged")
	cmd.Flags().DurationVar(&o.Retention, "retention", o.Retention, "how long records are kept; negative for ever")
	cmd.Flags().Int64Var(&o.RetentionBytes, "retention-bytes", o.RetentionBytes, "bound of each partition in bytes; negative for none")
	return cmd
}

func newTopicsVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check the messages topic as godwit serve does",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			kc, err := topicsConfig(cmd)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), topicsTimeout)
			defer cancel()
			if _, err := kafka.Verify(ctx, kc, false); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is as it should be\n", kc.Topic())
			return err
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

func topicsConfig(cmd *cobra.Command) (kafka.Config, error) {
	c, err := config.Load(config.Default(), os.Environ(), cmd.Flags())
	if c == nil {
		return kafka.Config{}, err
	}
	// What else is missing for a node, such as the token key, does not matter here;
	// what matters is checked by package kafka.
	return server.KafkaConfig(c, slog.New(slog.DiscardHandler))
}
