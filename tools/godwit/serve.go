package main

import (
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/server"
	"github.com/godwit-im/godwit/server/auth"
	"github.com/godwit-im/godwit/server/config"
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a node against Kafka",
		Long: `Run a node against Kafka, until SIGINT or SIGTERM.

Flags go over GODWIT_* variables, those over the file that --config names, and that
over the defaults; "godwit config" prints what results. The topics must be there
("godwit topics create"), and safe: a node refuses topics that can lose what was
acknowledged, unless unsafe is set.`,
		Example: "  godwit serve --config godwit.yaml\n  godwit serve --kafka-brokers k1:9092,k2:9092 --partitions 0-127 --token-key-file key",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.Load(config.Default(), os.Environ(), cmd.Flags())
			if err != nil {
				return err
			}
			level := new(slog.LevelVar)
			log, err := newLoggerAt(level, c.Log, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			key, err := auth.ReadKey(c.Token.KeyFile)
			if err != nil {
				return err
			}
			return runNode(server.Options{Config: c, Key: key, Log: log, Level: level}, func(n *server.Node) {
				log.Info("serving", "node", c.Node, "url", n.URL(), "admin", n.AdminURL(), "partitions", c.Partitions.String())
			})
		},
	}
	config.AddFlags(cmd.Flags(), config.Default())
	cmd.Flags().SortFlags = false
	return cmd
}
