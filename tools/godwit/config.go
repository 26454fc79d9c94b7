package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/server/config"
)

func newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the effective settings of godwit serve, and check them",
		Long: `Print the settings that godwit serve would run with, as a YAML file, and check
them. Flags go over GODWIT_* variables, those over the file, and that over the
defaults: --limits-idle, GODWIT_LIMITS_IDLE, and idle under limits in the file.

Everything that is wrong is told at once, on standard error; then the exit
status is 1. Settings that can be read are printed nevertheless. They hold no
secrets, only the names of files that do.`,
		Example: "  godwit config --config godwit.yaml\n  godwit config > godwit.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, wrong := config.Load(config.Default(), os.Environ(), cmd.Flags())
			if c == nil {
				return wrong
			}
			text, err := c.Effective()
			if err == nil {
				_, err = cmd.OutOrStdout().Write(text)
			}
			return errors.Join(err, wrong)
		},
	}
	config.AddFlags(cmd.Flags(), config.Default())
	cmd.Flags().SortFlags = false // the table's order goes by subject
	return cmd
}
