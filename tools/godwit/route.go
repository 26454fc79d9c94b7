package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/server/config"
)

// route is the answer of the command, and its JSON.
type route struct {
	User       string              `json:"user"`
	Partitions int32               `json:"partitions,omitzero"` // not told by a node
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
		ask        clusterFlags
	)
	cmd := &cobra.Command{
		Use:   "route --user ID [--partitions N | --config FILE | --admin URL]",
		Short: "Compute a user's partition, and the node that owns it",
		Long: `Compute the partition that a user lives in.

With --config the number of partitions is that of the settings (the file, and
GODWIT_* variables over it), and the node that owns the partition in their map is told
too. With --admin a node of a cluster is asked, by its admin port. Otherwise no server
is asked; the public port of any node answers GET /v1/route?user=ID.`,
		Example: "  godwit route --user bob --partitions 360\n  godwit route --user bob --config godwit.yaml --json\n  godwit route --user bob --admin http://127.0.0.1:8081",
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
			var err error
			switch {
			case cmd.Flags().Changed("admin"):
				err = r.ask(cmd, &ask)
			case cmd.Flags().Changed(config.FileFlag):
				err = r.read(cmd)
			}
			if err != nil {
				return err
			}
			return r.print(cmd, ask.asJSON)
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "user to look up")
	cmd.Flags().Int32Var(&partitions, "partitions", config.Default().Kafka.Partitions, "number of partitions")
	cmd.Flags().String(config.FileFlag, "", "YAML file of settings")
	ask.add(cmd)
	return cmd
}

// ask has a node of a cluster tell the route.
func (r *route) ask(cmd *cobra.Command, f *clusterFlags) error {
	port, err := f.port()
	if err != nil {
		return err
	}
	r.Partitions = 0
	_, err = port.ask(cmd.Context(), http.MethodGet, "/v1/route", url.Values{"user": {r.User}}, nil, r)
	return err
}

// read takes the route from the settings.
func (r *route) read(cmd *cobra.Command) error {
	c, err := config.Load(config.Default(), os.Environ(), cmd.Flags())
	if err != nil {
		return err
	}
	if c.Cluster.Enabled {
		return errors.New("with cluster.enabled the map is not in the settings: ask a node for it with --admin")
	}
	m, err := c.Placement()
	if err != nil {
		return err
	}
	r.Partitions, r.MapVersion = m.N(), m.Version()
	r.Partition, r.Node, r.URL = m.Lookup(r.User)
	return nil
}

func (r *route) print(cmd *cobra.Command, asJSON bool) error {
	out := cmd.OutOrStdout()
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	of := ""
	if r.Partitions != 0 {
		of = fmt.Sprintf(" of %d", r.Partitions)
	}
	_, err := fmt.Fprintf(out, "partition %d%s\n", r.Partition, of)
	if err == nil && r.Node != "" {
		_, err = fmt.Fprintf(out, "node %s at %s (map version %d)\n", r.Node, r.URL, r.MapVersion)
	}
	return err
}
