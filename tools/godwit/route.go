package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/server/config"
)

// route is the answer of the command, and its JSON.
type route struct {
	User       string              `json:"user"`
	Partitions int32               `json:"partitions"`
	Partition  backplane.Partition `json:"partition"`
	// Of the map, where there is one.
	Node       string `json:"node,omitempty"`
	URL        string `json:"url,omitempty"`
	MapVersion uint64 `json:"map_version,omitempty"`
}

func newRoute() *cobra.Command {
	var (
		user       string
		partitions int32
		asJSON     bool
	)
	cmd := &cobra.Command{
		Use:   "route --user ID [--partitions N | --config FILE]",
		Short: "Compute a user's partition, and the node that owns it",
		Long: `Compute the partition that a user lives in.

With --config the number of partitions is that of the settings (the file, and
GODWIT_* variables over it), and the node that owns the partition is told too.
This asks no server: a running one answers GET /v1/route?user=ID.`,
		Example: "  godwit route --user bob --partitions 360\n  godwit route --user bob --config godwit.yaml --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkUser(user); err != nil {
				return err
			}
			if cmd.Flags().Changed("partitions") && cmd.Flags().Changed(config.FileFlag) {
				return usagef("--partitions and --%s exclude each other: the settings say how many partitions there are", config.FileFlag)
			}
			if partitions < 1 || partitions > backplane.MaxPartitions {
				return usagef("--partitions is %d: must be 1 to %d", partitions, backplane.MaxPartitions)
			}
			r := route{User: user, Partitions: partitions, Partition: backplane.PartitionOf(user, partitions)}
			if cmd.Flags().Changed(config.FileFlag) {
				c, err := config.Load(config.Default(), os.Environ(), cmd.Flags())
				if err != nil {
					return err
				}
				m, err := c.Placement()
				if err != nil {
					return err
				}
				r.Partitions, r.MapVersion = m.N(), m.Version()
				r.Partition, r.Node, r.URL = m.Lookup(user)
			}
			return r.print(cmd, asJSON)
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "user to look up")
	cmd.Flags().Int32Var(&partitions, "partitions", config.Default().Kafka.Partitions, "number of partitions")
	cmd.Flags().String(config.FileFlag, "", "YAML file of settings")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (r *route) print(cmd *cobra.Command, asJSON bool) error {
	out := cmd.OutOrStdout()
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	_, err := fmt.Fprintf(out, "partition %d of %d\n", r.Partition, r.Partitions)
	if err == nil && r.Node != "" {
		_, err = fmt.Fprintf(out, "node %s at %s (map version %d)\n", r.Node, r.URL, r.MapVersion)
	}
	return err
}
