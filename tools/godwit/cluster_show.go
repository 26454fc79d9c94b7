package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/server/admin"
)

func newClusterStatus() *cobra.Command {
	var f clusterFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Print how the cluster is",
		Long: `Print the nodes of the cluster, what each of them has, and what is on its way.

With --json it is the object that GET /v1/cluster gives; docs/cluster.md has its members.

` + clusterHelp,
		Example: "  godwit cluster status\n  godwit cluster status --admin https://n1.example.org:8081 --admin-token-file token --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.show(cmd, func(out io.Writer, s *admin.ClusterStatus, text []byte) error {
				if f.asJSON {
					_, err := out.Write(text)
					return err
				}
				_, err := io.WriteString(out, describeCluster(s))
				return err
			})
		},
	}
	f.add(cmd)
	return cmd
}

func newClusterNodes() *cobra.Command {
	var f clusterFlags
	cmd := &cobra.Command{
		Use:   "nodes",
		Short: "Print the nodes and where they are",
		Long: `Print all nodes, those that have left included: their state, since when they have it and
why, the map version that they have read, and where clients and operators reach them.

With --json it is the list "nodes" of godwit cluster status --json.

` + clusterHelp,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.show(cmd, func(out io.Writer, s *admin.ClusterStatus, _ []byte) error {
				if f.asJSON {
					return json.NewEncoder(out).Encode(s.Nodes)
				}
				t := newTable("NODE", "STATE", "SINCE", "WHY", "MAP VERSION", "CLIENTS", "ADMIN")
				for i := range s.Nodes {
					n := &s.Nodes[i]
					version := ""
					if n.Beat != nil {
						version = fmt.Sprint(n.Beat.MapVersion)
					}
					t.row(n.ID, n.State, time.UnixMilli(n.Since).Format(time.DateTime), n.Reason, version, n.URL, n.Admin)
				}
				return t.print(out)
			})
		},
	}
	f.add(cmd)
	return cmd
}

func newClusterPartitions() *cobra.Command {
	var (
		f    clusterFlags
		node string
	)
	cmd := &cobra.Command{
		Use:   "partitions [--node NODE]",
		Short: "Print who has which partitions",
		Long: `Print all partitions, those that the same nodes have in a line: the owner serves their
users, the next owner gets ready to, and the previous one serves the clients that have
not left it yet.

With --json it is the list "partitions" of godwit cluster status --json.

` + clusterHelp,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.show(cmd, func(out io.Writer, s *admin.ClusterStatus, _ []byte) error {
				shares := []admin.ClusterShare{}
				for _, share := range s.Partitions {
					if node == "" || share.Owner == node || share.Next == node || share.Previous == node {
						shares = append(shares, share)
					}
				}
				if f.asJSON {
					return json.NewEncoder(out).Encode(shares)
				}
				t := newTable("OWNER", "NEXT", "PREVIOUS", "COUNT", "PARTITIONS")
				for _, share := range shares {
					t.row(share.Owner, share.Next, share.Previous, share.Partitions.Len(), share.Partitions)
				}
				return t.print(out)
			})
		},
	}
	cmd.Flags().StringVar(&node, "node", "", "only those that this node has")
	f.add(cmd)
	return cmd
}

// show asks for the status of the cluster and has it printed. text is the answer as it
// came.
func (f *clusterFlags) show(cmd *cobra.Command, printed func(out io.Writer, s *admin.ClusterStatus, text []byte) error) error {
	port, err := f.port()
	if err != nil {
		return err
	}
	var s admin.ClusterStatus
	text, err := port.ask(cmd.Context(), http.MethodGet, "/v1/cluster", nil, nil, &s)
	if err != nil {
		return err
	}
	return printed(cmd.OutOrStdout(), &s, text)
}

// describeCluster returns the status for people.
func describeCluster(s *admin.ClusterStatus) string {
	var b strings.Builder
	if s.Degraded {
		fmt.Fprintf(&b, "%s is cut off from the log: what it tells may be old. Ask another node with --admin.\n", printable(s.Node))
	}
	fmt.Fprintf(&b, "map version %d, as %s sees it; ", s.MapVersion, printable(s.Node))
	if s.Controller == nil {
		b.WriteString("no controller yet\n")
	} else {
		fmt.Fprintf(&b, "controller %s since %s\n", printable(s.Controller.Node), time.UnixMilli(s.Controller.Since).Format(time.DateTime))
	}
	var moving, leaving int
	for _, share := range s.Partitions {
		if share.Next != "" {
			moving += share.Partitions.Len()
		}
		if share.Previous != "" {
			leaving += share.Partitions.Len()
		}
	}
	fmt.Fprintf(&b, "%d partitions of generation %d", s.Settings.Partitions, s.Settings.Generation)
	if moving > 0 {
		fmt.Fprintf(&b, "; %d get ready to move", moving)
	}
	if leaving > 0 {
		fmt.Fprintf(&b, "; %d have moved, and clients have yet to follow", leaving)
	}
	b.WriteString("\n\n")
	t := newTable("NODE", "STATE", "PARTITIONS", "CONNECTIONS", "CAPACITY", "WEIGHT", "BEAT", "")
	for i := range s.Nodes {
		n := &s.Nodes[i]
		beat, connections := "none", "-"
		if n.Beat != nil {
			beat = fmt.Sprintf("%.1f s ago", float64(n.Beat.AgeMS)/1000)
			connections = fmt.Sprint(n.Beat.Connections)
		}
		t.row(n.ID, n.State, n.Owner, connections, n.Capacity, n.Weight, beat, remarks(s, n))
	}
	_ = t.print(&b) // a strings.Builder takes everything
	return b.String()
}

// remarks says what is special about a node.
func remarks(s *admin.ClusterStatus, n *admin.ClusterNode) string {
	var all []string
	if s.Controller != nil && s.Controller.Node == n.ID {
		all = append(all, "controller")
	}
	if n.Suspected {
		all = append(all, "SUSPECTED: the others do not hear it")
	}
	switch n.Reason {
	case cluster.ReasonSuspected:
		all = append(all, "was silent, and replaced")
	case cluster.ReasonEnded:
		all = append(all, "ended, and was replaced")
	}
	if n.Beat != nil && n.Beat.Degraded {
		all = append(all, "was cut off from the log")
	}
	if n.Next > 0 {
		all = append(all, fmt.Sprintf("gets %d more", n.Next))
	}
	if n.Previous > 0 {
		all = append(all, fmt.Sprintf("has clients left of %d", n.Previous))
	}
	return strings.Join(all, ", ")
}

// table is rows of text with aligned columns.
type table struct {
	text strings.Builder
	w    *tabwriter.Writer
}

func newTable(columns ...string) *table {
	t := &table{}
	t.w = tabwriter.NewWriter(&t.text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t.w, strings.Join(columns, "\t"))
	return t
}

func (t *table) row(values ...any) {
	cells := make([]string, len(values))
	for i, v := range values {
		cells[i] = printable(fmt.Sprint(v))
		if cells[i] == "" && i < len(values)-1 {
			cells[i] = "-"
		}
	}
	fmt.Fprintln(t.w, strings.Join(cells, "\t"))
}

func (t *table) print(out io.Writer) error {
	_ = t.w.Flush() // a strings.Builder takes everything
	for line := range strings.Lines(t.text.String()) {
		if _, err := fmt.Fprintln(out, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}
