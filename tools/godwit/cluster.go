package main

import "github.com/spf13/cobra"

func newCluster() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Look at and change who serves which partitions",
		Long: `Look at the nodes of a cluster and the partitions that they serve, and change them.

A change is a request that the controller, one of the nodes, accepts or refuses; it takes
effect while the nodes run. Every command that changes something shows first what would
follow, and asks (--yes if there is nobody to ask); with --dry-run it ends there.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newClusterStatus(),
		newClusterNodes(),
		newClusterPartitions(),
		newClusterWatch(),
		newClusterMove(),
		newClusterDrain(),
		newClusterAdd(),
		newClusterStandby(),
		newClusterRemove(),
		newClusterWeight(),
		newClusterRebalance(),
		newClusterSettings(),
		newClusterUp(),
	)
	return cmd
}
