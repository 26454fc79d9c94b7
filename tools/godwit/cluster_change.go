package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/admin"
)

// changeFlags are the flags of the commands that change a cluster.
type changeFlags struct {
	clusterFlags
	dryRun, yes bool
}

// changeHelp is what their help has in common.
const changeHelp = `What would follow is printed first, and nothing is done before you agree (--yes if there
is nobody to ask). With --dry-run it ends there. With --json the answer of the node is
printed, as docs/cluster.md describes it.

` + clusterHelp

func (f *changeFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only print what would follow")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
	f.clusterFlags.add(cmd)
}

// hints tell what to do about refusals, by their codes.
var hints = map[string]string{
	string(cluster.CodeUnknownNode):   "its nodes are listed by: godwit cluster nodes",
	string(cluster.CodeLastNode):      "make another node active first: godwit cluster add NODE",
	string(cluster.CodeNodeLeft):      "start it; it joins by itself",
	string(cluster.CodeSuspected):     "see that it runs and reaches Kafka: godwit cluster status",
	string(cluster.CodeInUse):         "drain it first (godwit cluster drain NODE), and wait until it has none (godwit cluster watch)",
	string(cluster.CodeNotActive):     "make it active first: godwit cluster add NODE",
	string(cluster.CodeMoving):        "wait until they have arrived: godwit cluster watch",
	string(cluster.CodeTooManyMoves):  "move fewer at a time, or allow more: godwit cluster settings set moves_in_flight=N",
	string(cluster.CodeBadPartitions): "who has which partitions is printed by: godwit cluster partitions",
	string(cluster.CodeNewerRecord):   "use the newer version of godwit for this, and upgrade the nodes",
	string(cluster.CodeNotReady):      "try again in a moment; if it stays so, look at the logs of the nodes",
	string(backplane.CodeTimeout):     "try again: to ask twice does no harm",
	string(codec.CodeUnauthorized):    "name the file with the token of the admin port with --admin-token-file",
}

func newClusterDrain() *cobra.Command {
	return newNodeChange(cluster.KindDrain, "Have a node hand over its partitions", `Have a node hand over all its partitions, one after the other, while it goes on running. Then
it can be stopped, and no client notices. It gets no others until it is added again, or
restarted after it was stopped in order.`)
}

func newClusterAdd() *cobra.Command {
	return newNodeChange(cluster.KindAdd, "Give a node its share of the partitions", `Make a standby or a draining node active: it gets its share of the partitions. A node that
was replaced while it was silent waits for this.`)
}

func newClusterStandby() *cobra.Command {
	return newNodeChange(cluster.KindStandby, "Keep a node in reserve", `Make a node a standby: it hands over its partitions, and takes those of the next node that
fails.`)
}

func newClusterRemove() *cobra.Command {
	return newNodeChange(cluster.KindRemove, "Forget a node", `Forget a node that has no partitions any more. One that still runs and starts again joins
as a new one.`)
}

// newNodeChange returns a command for a request that names a node and nothing else.
func newNodeChange(kind cluster.Kind, short, long string) *cobra.Command {
	var f changeFlags
	cmd := &cobra.Command{
		Use:     string(kind) + " NODE",
		Short:   short,
		Long:    long + "\n\n" + changeHelp,
		Example: "  godwit cluster " + string(kind) + " n1 --dry-run\n  godwit cluster " + string(kind) + " n1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.change(cmd, &cluster.Request{Kind: kind, Node: args[0]})
		},
	}
	f.add(cmd)
	return cmd
}

func newClusterMove() *cobra.Command {
	var (
		f  changeFlags
		to string
	)
	cmd := &cobra.Command{
		Use:   "move PARTITIONS --to NODE",
		Short: "Move partitions to a node",
		Long: `Move partitions to a node, without their users noticing: the node gets ready first. It is
for a partition that needs a node of its own for a while, and lasts until the next change
of the nodes or rebalance.

` + changeHelp,
		Example: "  godwit cluster move 17 --to n2\n  godwit cluster move 0-15,20 --to n2 --dry-run",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			partitions, err := cluster.ParseRanges(args[0])
			if err != nil {
				return usagef("PARTITIONS: %v: must be like 0-15,20", err)
			}
			if len(partitions) == 0 {
				return usagef("PARTITIONS is empty: must be like 0-15,20")
			}
			if to == "" {
				return usagef("--to is missing: the node that gets them is needed")
			}
			return f.change(cmd, &cluster.Request{Kind: cluster.KindMove, Partitions: partitions, To: to})
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "node that gets them")
	f.add(cmd)
	return cmd
}

func newClusterWeight() *cobra.Command {
	var f changeFlags
	cmd := &cobra.Command{
		Use:   "weight NODE N",
		Short: "Change a node's share of the partitions",
		Long: `Change the weight of a node: an active node's share of the partitions is its weight, divided
by those of all. With 0 it gets none while there are others.

` + changeHelp,
		Example: "  godwit cluster weight n1 2",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			weight, err := strconv.Atoi(args[1])
			if err != nil || weight < 0 || weight > cluster.MaxWeight {
				return usagef("N is %q: must be 0 to %d", args[1], cluster.MaxWeight)
			}
			return f.change(cmd, &cluster.Request{Kind: cluster.KindWeight, Node: args[0], Weight: &weight})
		},
	}
	f.add(cmd)
	return cmd
}

func newClusterRebalance() *cobra.Command {
	var f changeFlags
	cmd := &cobra.Command{
		Use:   "rebalance",
		Short: "Give every node its share of the partitions",
		Long: `Move as many partitions as needed, and no more, for every active node to have its share by
weight and capacity. It undoes what godwit cluster move has done.

` + changeHelp,
		Example: "  godwit cluster rebalance --plan",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.change(cmd, &cluster.Request{Kind: cluster.KindRebalance})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.dryRun, "plan", false, "the same as --dry-run")
	return cmd
}

// errUnconfirmed is the error of a change that nobody agreed to.
var errUnconfirmed = errors.New("not confirmed, and nothing was done: type y, or give --yes")

// change asks what would follow from a request, shows it, and makes the request.
func (f *changeFlags) change(cmd *cobra.Command, r *cluster.Request) error {
	port, err := f.port()
	if err != nil {
		return err
	}
	r.By = whoami()
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	var planned admin.ClusterAnswer
	text, err := port.ask(cmd.Context(), http.MethodPost, "/v1/cluster/requests", url.Values{"dry_run": {"1"}}, body, &planned)
	if err != nil {
		return err
	}
	out, stderr := cmd.OutOrStdout(), cmd.ErrOrStderr()
	shown := out
	if f.asJSON {
		shown = stderr
	}
	if !f.asJSON || !f.dryRun && !f.yes {
		if _, err := io.WriteString(shown, describePlan(&planned)); err != nil {
			return err
		}
	}
	if f.dryRun || planned.Reason == cluster.CodeUnchanged {
		if f.asJSON {
			_, err = out.Write(text)
		}
		return err
	}
	if !f.yes {
		fmt.Fprint(stderr, "Do this? [y/N] ")
		line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
		if err != nil && err != io.EOF {
			return err
		}
		if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
			fmt.Fprintln(stderr)
			return errUnconfirmed
		}
	}
	var done admin.ClusterAnswer
	if text, err = port.ask(cmd.Context(), http.MethodPost, "/v1/cluster/requests", nil, body, &done); err != nil {
		return err
	}
	if f.asJSON {
		_, err = out.Write(text)
		return err
	}
	follow := ""
	if len(done.Plan.Moves) > 0 {
		follow = "; the partitions move now, which godwit cluster watch shows"
	}
	_, err = fmt.Fprintf(out, "done: map version %d%s\n", done.MapVersion, follow)
	return err
}

// whoami names who asks, for the log of the cluster.
func whoami() string {
	name := "somebody"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name[:min(len(name), cluster.MaxText)]
}

// describePlan says what follows from a request, a line for each change, each move, and each
// node whose share changes.
func describePlan(a *admin.ClusterAnswer) string {
	var b strings.Builder
	for _, c := range a.Plan.Changes {
		fmt.Fprintf(&b, "%s: %s\n", printable(c.Key), printable(c.What))
	}
	for _, m := range a.Plan.Moves {
		fmt.Fprintf(&b, "%s: %s -> %s (%s)\n", describePartitions(m.Partitions), printable(cmp.Or(m.From, "nobody")), printable(m.To), printable(string(m.Why)))
	}
	shares := slices.DeleteFunc(slices.Clone(a.Plan.Shares), func(s cluster.Share) bool { return s.Before == s.After })
	for _, s := range shares {
		fmt.Fprintf(&b, "%s owns %d partitions, then %d\n", printable(s.Node), s.Before, s.After)
	}
	if b.Len() == 0 {
		return "nothing changes: all is as asked already\n"
	}
	return b.String()
}

// maxShown is the longest list of partitions that is shown whole, in bytes.
const maxShown = 60

// describePartitions names partitions, not all of them where that would be long.
func describePartitions(rs cluster.Ranges) string {
	text := rs.String()
	if len(text) > maxShown {
		text = text[:strings.LastIndexByte(text[:maxShown], ',')] + ",..."
	}
	if rs.Len() == 1 {
		return "partition " + text
	}
	return fmt.Sprintf("%d partitions (%s)", rs.Len(), text)
}
