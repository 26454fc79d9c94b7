package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/server/admin"
)

// settingsHelp lists the live settings. Those who set them are told by cluster.Judge what
// values they may have.
const settingsHelp = `  moves_in_flight   how many partitions may be on their way at a time
  moved_per_second  how many clients a node tells in a second to go elsewhere
  log_level         debug, info, warn or error; empty: as each node is configured
  sends_per_second  sends of a connection in a second; 0: as each node is configured
  sends_burst       sends that may come at once; 0: as each node is configured`

func newClusterSettings() *cobra.Command {
	cmd := &cobra.Command{Use: "settings", Short: "Print and change the settings that all nodes share", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(newClusterSettingsGet(), newClusterSettingsSet())
	return cmd
}

func newClusterSettingsGet() *cobra.Command {
	var f clusterFlags
	cmd := &cobra.Command{
		Use:   "get [NAME]",
		Short: "Print the settings, or the value of one",
		Long:  "Print the settings that may change while the nodes run:\n" + settingsHelp + "\n\n" + clusterHelp,
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.show(cmd, func(out io.Writer, s *admin.ClusterStatus, _ []byte) error {
				if f.asJSON && len(args) == 0 {
					return json.NewEncoder(out).Encode(s.Settings.Live)
				}
				for _, setting := range admin.LiveSettings(s.Settings.Live) {
					var err error
					switch {
					case len(args) == 0:
						_, err = fmt.Fprintf(out, "%s=%v\n", setting.Name, setting.Value)
					case args[0] != setting.Name:
						continue
					case f.asJSON:
						err = json.NewEncoder(out).Encode(setting.Value)
					default:
						_, err = fmt.Fprintln(out, setting.Value)
					}
					if err != nil || len(args) > 0 {
						return err
					}
				}
				if len(args) > 0 {
					return noSuchSetting(args[0])
				}
				return nil
			})
		},
	}
	f.add(cmd)
	return cmd
}

func newClusterSettingsSet() *cobra.Command {
	var f changeFlags
	cmd := &cobra.Command{
		Use:     "set NAME=VALUE...",
		Short:   "Change settings of all nodes",
		Long:    "Change settings of all nodes, at once and without a restart:\n" + settingsHelp + "\n\n" + changeHelp,
		Example: "  godwit cluster settings set log_level=debug\n  godwit cluster settings set moves_in_flight=64 moved_per_second=1000",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			change, err := parseSettings(args)
			if err != nil {
				return err
			}
			return f.change(cmd, &cluster.Request{Kind: cluster.KindSettings, Live: change})
		},
	}
	f.add(cmd)
	return cmd
}

// parseSettings reads settings of the form NAME=VALUE.
func parseSettings(args []string) (*cluster.LiveChange, error) {
	var c cluster.LiveChange
	given := make(map[string]bool)
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, usagef("%q: must be like moves_in_flight=64", arg)
		}
		if given[name] {
			return nil, usagef("%s is given twice", name)
		}
		given[name] = true
		numbers := map[string]**int{
			"moves_in_flight": &c.MovesInFlight, "moved_per_second": &c.MovedPerSecond,
			"sends_per_second": &c.SendsPerSecond, "sends_burst": &c.SendsBurst,
		}
		switch to := numbers[name]; {
		case name == "log_level":
			c.LogLevel = &value
		case to == nil:
			return nil, noSuchSetting(name)
		default:
			n, err := strconv.Atoi(value)
			if err != nil {
				return nil, usagef("%s is %q: must be a whole number", name, value)
			}
			*to = &n
		}
	}
	return &c, nil
}

func noSuchSetting(name string) error {
	var names []string
	for _, s := range admin.LiveSettings(cluster.Live{}) {
		names = append(names, s.Name)
	}
	return usagef("there is no setting %q: must be one of %s", name, strings.Join(names, ", "))
}
