package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/kafkalog"
	"github.com/godwit-im/godwit/backplane/embedded"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/server"
	"github.com/godwit-im/godwit/server/admin"
	"github.com/godwit-im/godwit/server/auth"
	"github.com/godwit-im/godwit/server/config"
	scripts "github.com/godwit-im/godwit/tools/kafka"
	"github.com/godwit-im/godwit/tools/process"
)

const (
	// maxUpNodes bounds --nodes: more do not fit one machine well, nor one table.
	maxUpNodes = 9

	// upPortStep is how far apart the ports of two nodes are. A node's admin port
	// follows the one for clients.
	upPortStep = 10

	// upReadyTimeout bounds the time until all nodes serve.
	upReadyTimeout = 2 * time.Minute

	// upNamespace keeps what is tried out apart from what is meant.
	upNamespace = "godwit-up"
)

// upOptions are the flags of the command.
type upOptions struct {
	nodes                                 int
	partitions                            int32
	kafka, namespace, listen, data, level string
}

func newClusterUp() *cobra.Command {
	o := upOptions{nodes: 3, partitions: embedded.DefaultConfig().Partitions, namespace: upNamespace,
		listen: config.Default().Listen, data: defaultData, level: "info"}
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run several nodes on this machine, to try a cluster out",
		Long: `Run several nodes that share the partitions, until Ctrl-C: processes of this binary on
loopback ports, against the Kafka that --kafka names, or one that is started by
` + scripts.Script + ` and ends with the nodes.

The settings of each node are written to a file in the data folder, so that a node which
was killed can be started again by hand. Tokens are signed with the development key in
the same folder ("godwit token"). The topics have one replica: what is in them is for
trying out.`,
		Example: "  godwit cluster up\n  godwit cluster up --nodes 5 --kafka 127.0.0.1:9092 --listen 127.0.0.1:9000",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.nodes < 1 || o.nodes > maxUpNodes {
				return usagef("--nodes is %d: must be 1 to %d", o.nodes, maxUpNodes)
			}
			if o.partitions < 1 || o.partitions > backplane.MaxPartitions {
				return usagef("--partitions is %d: must be 1 to %d", o.partitions, backplane.MaxPartitions)
			}
			if err := checkLoopback(o.listen); err != nil {
				return usagef("--listen is %q: %v", o.listen, err)
			}
			return o.run(cmd)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&o.nodes, "nodes", o.nodes, "number of nodes")
	flags.StringVar(&o.kafka, "kafka", "", "host:port of a Kafka (default: one is started)")
	flags.StringVar(&o.namespace, "namespace", o.namespace, "namespace of the topics, which are made if they are not there")
	flags.Int32Var(&o.partitions, "partitions", o.partitions, "number of partitions of new topics")
	flags.StringVar(&o.listen, "listen", o.listen, "loopback address for clients of the first node; its admin port is the next one, and each node's ports are "+strconv.Itoa(upPortStep)+" further; port 0 takes free ones")
	flags.StringVar(&o.data, "data", o.data, "data folder")
	flags.StringVar(&o.level, "log-level", o.level, "debug, info, warn or error")
	return cmd
}

// upNode is a node of the command.
type upNode struct {
	settings *config.Config
	file     string // with the settings
	child    *process.Process
}

func (n *upNode) name() string     { return n.settings.Node }
func (n *upNode) adminURL() string { return "http://" + n.settings.Admin }

func (o *upOptions) run(cmd *cobra.Command) (err error) {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	stderr := cmd.ErrOrStderr()
	nodes, err := o.plan()
	if err != nil {
		return err
	}

	var broker *process.Process
	address := o.kafka
	if address == "" {
		if broker, address, err = startKafka(ctx, stderr, filepath.Join(o.folder(), "kafka")); err != nil {
			return unlessInterrupted(ctx, err)
		}
	}
	defer func() {
		// A second signal ends all at once.
		hurry, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer cancel()
		stop()
		err = errors.Join(err, stopChildren(hurry.Done(), inOrder(nodes, broker)...))
	}()

	if err := o.start(ctx, stderr, address, nodes); err != nil {
		return unlessInterrupted(ctx, err)
	}
	o.greet(cmd.OutOrStdout(), address, nodes)
	return o.watch(ctx, stderr, broker, nodes)
}

// inOrder returns what runs in the order in which it is to be stopped. One node after the
// other, since each hands its partitions to those that are left; the Kafka last.
func inOrder(nodes []*upNode, broker *process.Process) []*process.Process {
	var all []*process.Process
	for _, n := range slices.Backward(nodes) {
		if n.child != nil {
			all = append(all, n.child)
		}
	}
	if broker != nil {
		all = append(all, broker)
	}
	return all
}

// unlessInterrupted returns the error of a start, nil if it was given up because somebody
// asked for that.
func unlessInterrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// folder is where the settings of the nodes are, and the Kafka's data.
func (o *upOptions) folder() string { return filepath.Join(o.data, "cluster") }

// plan returns the nodes with the settings that do not depend on the Kafka.
func (o *upOptions) plan() ([]*upNode, error) {
	key, err := auth.OpenDevKey(o.data)
	if err != nil {
		return nil, err
	}
	keyFile, err := filepath.Abs(key.File())
	if err != nil {
		return nil, err
	}
	addresses, err := upAddresses(o.listen, 2*o.nodes)
	if err != nil {
		return nil, err
	}
	nodes := make([]*upNode, o.nodes)
	for i := range nodes {
		c := config.Default()
		c.Node = "n" + strconv.Itoa(i+1)
		c.Listen, c.Admin = addresses[2*i], addresses[2*i+1]
		c.Kafka.Namespace, c.Kafka.Partitions = o.namespace, o.partitions
		c.Cluster.Enabled = true
		c.Token.KeyFile = keyFile
		c.Unsafe = true
		c.Log.Level = o.level
		nodes[i] = &upNode{settings: &c, file: filepath.Join(o.folder(), c.Node+".yaml")}
	}
	return nodes, nil
}

// upAddresses returns n addresses that can be listened on: for each node one for clients
// and one for its admin port.
func upAddresses(listen string, n int) ([]string, error) {
	host, text, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, err
	}
	first, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("--listen is %q: the port must be a number", listen)
	}
	var addresses []string
	var held []net.Listener // until all are known, so that none is given twice
	defer func() {
		for _, l := range held {
			_ = l.Close() // nobody has connected to it
		}
	}()
	for i := range n {
		port := 0
		if first != 0 {
			port = first + i/2*upPortStep + i%2
		}
		address := net.JoinHostPort(host, strconv.Itoa(port))
		l, err := net.Listen("tcp", address)
		if err != nil {
			return nil, fmt.Errorf("%s cannot be listened on: %w: choose other ports with --listen", address, errors.Unwrap(err))
		}
		held = append(held, l)
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}

// start makes the topics, starts the nodes, and returns when all of them serve.
func (o *upOptions) start(ctx context.Context, stderr io.Writer, address string, nodes []*upNode) error {
	if err := os.MkdirAll(o.folder(), 0o755); err != nil {
		return err
	}
	for _, n := range nodes {
		n.settings.Kafka.Brokers = []string{address}
		c, err := config.Load(*n.settings, nil, nil) // completes and checks it
		if err != nil {
			return err
		}
		n.settings = c
		text, err := c.Effective()
		if err != nil {
			return err
		}
		if err := os.WriteFile(n.file, text, 0o644); err != nil {
			return err
		}
	}
	if err := makeTopics(ctx, nodes[0].settings); err != nil {
		return fmt.Errorf("the topics cannot be made at %s: %w", address, err)
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	logs := &labels{w: stderr}
	for _, n := range nodes {
		if n.child, err = startChild(n.name(), logs.of(n.name()), nil, program, "serve", "--config", n.file); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, upReadyTimeout)
	defer cancel()
	for _, n := range nodes {
		if err := n.await(ctx, n.ready); err != nil {
			return err
		}
	}
	return nodes[0].await(ctx, func() bool { return nodes[0].sees(ctx, nodes) })
}

// makeTopics makes the topics of a namespace if they are not there.
func makeTopics(ctx context.Context, c *config.Config) error {
	kc, err := server.KafkaConfig(c, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, topicsTimeout)
	defer cancel()
	t := kafka.DefaultTopicOptions()
	t.Replicas, t.MinInsync = 1, 1
	if err := kafka.Create(ctx, kc, t); err != nil && !errors.Is(err, kafka.ErrTopicExists) {
		return err
	}
	k := kafkalog.DefaultTopicOptions()
	k.Replicas, k.MinInsync = 1, 1
	_, err = kafkalog.Create(ctx, kc, k)
	return err
}

// await waits until a node is as it should be.
func (n *upNode) await(ctx context.Context, cond func() bool) error {
	for !cond() {
		select {
		case <-n.child.Done():
			return fmt.Errorf("%s has ended (%s); its log is above", n.name(), n.child.How())
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s does not serve: %w; its log is above", n.name(), ctx.Err())
		}
	}
	return nil
}

// ready reports whether a node serves.
func (n *upNode) ready() bool {
	client := http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	r, err := client.Get(n.adminURL() + "/readyz")
	if err != nil {
		return false
	}
	_ = r.Body.Close()
	return r.StatusCode == http.StatusOK
}

// sees reports whether a node sees all nodes in its cluster, and all partitions owned.
func (n *upNode) sees(ctx context.Context, nodes []*upNode) bool {
	port, err := (&clusterFlags{url: n.adminURL()}).port()
	if err != nil {
		return false
	}
	defer port.client.CloseIdleConnections()
	var s admin.ClusterStatus
	if _, err := port.ask(ctx, http.MethodGet, "/v1/cluster", nil, nil, &s); err != nil {
		return false
	}
	for _, other := range nodes {
		if !slices.ContainsFunc(s.Nodes, func(m admin.ClusterNode) bool {
			return m.ID == other.name() && m.State != cluster.Left && m.Beat != nil && !m.Suspected
		}) {
			return false
		}
	}
	return !slices.ContainsFunc(s.Partitions, func(share admin.ClusterShare) bool { return share.Owner == "" })
}

// watch returns when ctx ends, when no node is left, or when the Kafka ends. Of a node that
// ends before it says how to start it again.
func (o *upOptions) watch(ctx context.Context, stderr io.Writer, broker *process.Process, nodes []*upNode) error {
	ends := make(chan *upNode)
	for _, n := range nodes {
		go func() {
			select {
			case <-n.child.Done():
			case <-ctx.Done():
				return
			}
			select {
			case ends <- n:
			case <-ctx.Done():
			}
		}()
	}
	var kafkaEnds <-chan struct{} // never, if it is not ours
	if broker != nil {
		kafkaEnds = broker.Done()
	}
	for left := len(nodes); left > 0; {
		select {
		case <-ctx.Done():
			fmt.Fprintln(stderr, "stopping")
			return nil
		case <-kafkaEnds:
			return fmt.Errorf("the Kafka has ended (%s)", broker.How())
		case n := <-ends:
			left--
			fmt.Fprintf(stderr, "%s has ended (%s); start it again with: %s serve --config %s\n", n.name(), n.child.How(), os.Args[0], n.file)
		}
	}
	return errors.New("no node is left")
}

// greet tells where everything is, and what to do next.
func (o *upOptions) greet(w io.Writer, address string, nodes []*upNode) {
	self, first := os.Args[0], nodes[0]
	var admin, url, data string // the flags that the commands need here
	if first.settings.Admin != config.Default().Admin {
		admin = " --admin " + first.adminURL()
	}
	if first.settings.Listen != config.Default().Listen {
		url = " --url " + first.settings.Advertise
	}
	if o.data != defaultData {
		data = " --data " + o.data
	}
	var b strings.Builder
	fmt.Fprintf(&b, "godwit cluster up: %d nodes that share %d partitions, for trying it out.\n\n", len(nodes), first.settings.Kafka.Partitions)
	for _, n := range nodes {
		fmt.Fprintf(&b, "  %-6s clients %s  admin %s  process %d\n", n.name(), n.settings.Advertise, n.adminURL(), n.child.Pid())
	}
	last := nodes[len(nodes)-1]
	fmt.Fprintf(&b, "  kafka  %s, namespace %s\n  data   %s\n\nTry it, in other terminals:\n", address, o.namespace, o.data)
	for i, line := range []string{
		fmt.Sprintf("%s cluster watch%s", self, admin),
		fmt.Sprintf("%s listen --user bob%s%s", self, url, data),
		fmt.Sprintf("%s send --user alice --to bob%s%s 'hello'", self, url, data),
		fmt.Sprintf("kill -9 %d, and see who takes over from %s", last.child.Pid(), last.name()),
		fmt.Sprintf("%s serve --config %s, and then: %s cluster add %s%s", self, last.file, self, last.name(), admin),
		fmt.Sprintf("%s cluster drain %s%s, and then: %s cluster add %s%s", self, first.name(), admin, self, first.name(), admin),
		fmt.Sprintf("%s token --user carol%s, for clients of your own", self, data),
	} {
		fmt.Fprintf(&b, "  %d. %s\n", i+1, line)
	}
	fmt.Fprint(&b, "\nCtrl-C stops all of it.\n")
	_, _ = io.WriteString(w, b.String())
}
