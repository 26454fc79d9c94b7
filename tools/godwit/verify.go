package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/server/auth"
	"github.com/godwit-im/godwit/server/config"
	scripts "github.com/godwit-im/godwit/tools/kafka"
	"github.com/godwit-im/godwit/tools/verify/check"
	"github.com/godwit-im/godwit/tools/verify/nemesis"
	verify "github.com/godwit-im/godwit/tools/verify/run"
	"github.com/godwit-im/godwit/tools/verify/world"
)

// The values of --faults that are no names of kinds.
const (
	allFaults = "all"
	noFaults  = "none"
)

// ownRate is how many messages are sent a second to a cluster that others may be using,
// where nothing is said.
const ownRate = 50

// verifyFlags are the flags of godwit verify.
type verifyFlags struct {
	settings verify.Settings

	// Of a cluster that is started here.
	local           verify.Local
	faults, history string

	// Of one that is there already.
	remote              verify.Remote
	file, keyFile, data string
	log                 kafka.Config // what flags say of it
}

// The flags that go with a cluster that is started here, and with one that is not.
var (
	localFlags  = []string{"nodes", "brokers", "faults", "binary", "keep"}
	remoteFlags = append([]string{"config", "token-key-file", "data"}, logFlags...)
	logFlags    = []string{"kafka", "kafka-namespace", "kafka-generation"}
)

func newVerify() *cobra.Command {
	f := verifyFlags{
		settings: verify.Settings{Users: 200, Devices: 2, Rate: 500, Duration: 5 * time.Minute, Converge: check.DefaultOptions().Converge, Out: "godwit-verify"},
		local:    verify.Local{Nodes: 3, Brokers: 1},
		log:      kafka.DefaultConfig(),
		faults:   allFaults, history: string(verify.Cassandra),
	}
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Test on a running cluster, under faults, that no acknowledged message is lost",
		Long: `Start a cluster, have users with several devices each send each other messages, do
faults to everything, and compare what the devices were given, what history says and what
is in Kafka. docs/verify.md tells what is promised, how it is tested, and what is in the
files that a run leaves in the folder --report.

The cluster is made of processes of this binary, or of --binary, with Kafka and Cassandra
beside them, which the scripts of the repository start: run this in a checkout of godwit.
Nothing else on the machine is touched, and nothing is left running. --history pebble is for one
node. --faults takes kinds with commas between them:

` + wrapKinds() + `

With --url the cluster is your own, and no fault is done to it: users whose names nobody
else has send and read, and what they see is checked in the same way. Their tokens are
signed with the secret in --token-key-file (HS256), or with the key of godwit dev. Name its
Kafka, or what is in the log is not tested, and the outcome is unknown. The file of settings
of one of its nodes, --config, tells all of that, with TLS and passwords for Kafka.

Ctrl-C ends the load, and what there is so far is judged; a second one gives up. The exit
status is 0 if the run has passed, 1 if a promise was broken, and 2 if the run does not
show enough to tell, or could not be made.`,
		Example: "  godwit verify\n  godwit verify --brokers 3 --duration 20m --seed 7\n  godwit verify --nodes 1 --history pebble --faults node-kill,kafka-cut --duration 1m\n" +
			"  godwit verify --url ws://127.0.0.1:8080 --history none --kafka 127.0.0.1:9092 --rate 50 --duration 1m\n" +
			"  godwit verify --url wss://n1.chat.example.org --config godwit.yaml --duration 10m",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.complete(cmd.Flags()); err != nil {
				return &usageError{err.Error()}
			}
			return f.run(cmd)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&f.settings.Users, "users", f.settings.Users, "users")
	flags.IntVar(&f.settings.Devices, "devices", f.settings.Devices, "devices of each user")
	flags.Float64Var(&f.settings.Rate, "rate", f.settings.Rate, fmt.Sprintf("messages a second, of all together; each goes to 1 to 8 users (%d with --url)", ownRate))
	flags.DurationVar(&f.settings.Duration, "duration", f.settings.Duration, "how long messages are sent; the first tenth is without faults")
	flags.DurationVar(&f.settings.Converge, "converge", f.settings.Converge, "how long a message may take at the end, when nothing is broken any more; so long it is waited for what is missing")
	flags.Uint64Var(&f.settings.Seed, "seed", 0, "of everything that is chosen at random (default: another each time)")
	flags.StringVar(&f.settings.Out, "report", f.settings.Out, "folder for the report and the history of the run")
	flags.StringVar(&f.history, "history", f.history, "where the cluster keeps history: cassandra, pebble or none")
	flags.IntVar(&f.local.Nodes, "nodes", f.local.Nodes, "nodes of the cluster")
	flags.IntVar(&f.local.Brokers, "brokers", f.local.Brokers, "nodes of Kafka: 1 or 3")
	flags.StringVar(&f.faults, "faults", f.faults, "what is done to the cluster: all, none, or kinds of faults")
	flags.StringVar(&f.local.Binary, "binary", "", "binary that the nodes run (default: this one)")
	flags.BoolVar(&f.settings.Keep, "keep", false, "keep the logs of all processes, also of a run that has passed")
	flags.StringSliceVar(&f.remote.URLs, "url", nil, "ws or wss URLs of any nodes of a cluster of your own")
	flags.StringVar(&f.file, "config", "", "file of settings of a node of that cluster: how its Kafka is reached, and its secret")
	flags.StringVar(&f.keyFile, "token-key-file", "", "file with the HS256 secret of that cluster (default: the key of godwit dev)")
	flags.StringVar(&f.data, "data", defaultData, "data folder of godwit dev, for its key")
	flags.StringSliceVar(&f.log.Brokers, "kafka", nil, "host:port of brokers of that cluster")
	flags.StringVar(&f.log.Namespace, "kafka-namespace", f.log.Namespace, "namespace of its topics")
	flags.Uint32Var(&f.log.Generation, "kafka-generation", f.log.Generation, "generation of its topic of messages")
	flags.SortFlags = false
	return cmd
}

// wrapKinds lists the kinds of faults in lines of a help text.
func wrapKinds() string {
	var b strings.Builder
	column := 0
	for i, k := range nemesis.Kinds() {
		if i > 0 && column+len(k) > 75 {
			b.WriteString("\n")
			column = 0
		}
		n, _ := fmt.Fprintf(&b, "  %s", k)
		column += n
	}
	return b.String()
}

// complete checks the flags and makes the rest of the settings from them.
func (f *verifyFlags) complete(flags *pflag.FlagSet) error {
	own, wrong := len(f.remote.URLs) > 0, remoteFlags
	if own {
		wrong = localFlags
	}
	for _, name := range wrong {
		switch {
		case !flags.Changed(name):
		case own:
			return fmt.Errorf("--%s and --url exclude each other: nothing is started for a cluster of your own, and no fault is done to it", name)
		default:
			return fmt.Errorf("--%s is for a cluster of your own: name it with --url", name)
		}
	}
	for _, name := range logFlags {
		switch {
		case !flags.Changed(name):
		case f.file != "":
			return fmt.Errorf("--%s and --config exclude each other", name)
		case len(f.log.Brokers) == 0:
			return fmt.Errorf("--%s needs --kafka: without it the log is not read", name)
		}
	}
	if !slices.Contains([]verify.Store{verify.Cassandra, verify.Pebble, verify.NoStore}, verify.Store(f.history)) {
		return fmt.Errorf("--history is %q: must be cassandra, pebble or none", f.history)
	}
	if !flags.Changed("seed") {
		f.settings.Seed = rand.Uint64()
	}
	f.settings.Command = f.command(flags)
	if own {
		if !flags.Changed("rate") {
			f.settings.Rate = ownRate
		}
		return f.completeRemote()
	}
	return f.completeLocal()
}

// command returns the command line that repeats the run.
func (f *verifyFlags) command(flags *pflag.FlagSet) string {
	words := []string{"godwit", "verify"}
	flags.Visit(func(flag *pflag.Flag) {
		if flag.Name == "seed" {
			return
		}
		value := flag.Value.String()
		if list, ok := flag.Value.(pflag.SliceValue); ok {
			value = strings.Join(list.GetSlice(), ",")
		}
		words = append(words, quoteWord("--"+flag.Name+"="+value))
	})
	return strings.Join(append(words, "--seed="+strconv.FormatUint(f.settings.Seed, 10)), " ")
}

// quoteWord returns a word as a shell takes it.
func quoteWord(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-=./:,_", r)
	}
	if strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func (f *verifyFlags) completeLocal() (err error) {
	l := &f.local
	f.settings.Local = l
	l.History = verify.Store(f.history)
	switch f.faults {
	case noFaults:
	case allFaults:
		l.Faults = f.settings.Possible(nemesis.Kinds())
	default:
		if l.Faults, err = nemesis.ParseKinds(f.faults); err != nil {
			return err
		}
	}
	script, err := findKafkaScript()
	if err != nil {
		return errors.New(scripts.Script + " is not there to start Kafka: run this in a checkout of godwit, or test a cluster of your own with --url")
	}
	l.Root = filepath.Join(filepath.Dir(script), "..", "..")
	if l.Binary == "" {
		if l.Binary, err = os.Executable(); err != nil {
			return err
		}
	}
	if l.Binary, err = filepath.Abs(l.Binary); err != nil {
		return err
	}
	return f.settings.Validate()
}

func (f *verifyFlags) completeRemote() error {
	r := &f.remote
	f.settings.Remote = r
	r.History = verify.Store(f.history) != verify.NoStore
	for i, text := range r.URLs {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" {
			return fmt.Errorf("--url is %q: must be a ws or wss URL, such as ws://127.0.0.1:8080", text)
		}
		if u.Path == "" || u.Path == "/" {
			u.Path = config.ConnectPath
		}
		r.URLs[i] = u.String()
	}
	var token config.Token
	var err error
	switch {
	case f.file != "":
		token, err = f.settingsOfNode()
	case f.keyFile == "":
		token.KeyFile, err = devKey(f.data)
	}
	if err != nil {
		return err
	}
	if len(f.log.Brokers) > 0 {
		r.Kafka = &f.log
	}
	secret, err := auth.ReadKey(cmp.Or(f.keyFile, token.KeyFile))
	if err != nil {
		return err
	}
	r.Token = world.Signer{Key: secret, Issuer: token.Issuer, Audience: token.Audience}.Token
	return f.settings.Validate()
}

// devKey returns the file with the secret of godwit dev.
func devKey(data string) (file string, err error) {
	key, err := auth.OpenDevKey(data)
	if err != nil {
		return "", err
	}
	return key.File(), nil
}

// settingsOfNode takes from --config how the log is reached, and returns how tokens are
// signed.
func (f *verifyFlags) settingsOfNode() (token config.Token, err error) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	config.AddFlags(flags, config.Default())
	if err := flags.Set(config.FileFlag, f.file); err != nil {
		return token, err
	}
	c, kc, err := logConfig(flags)
	if c == nil {
		return token, err
	}
	if f.keyFile == "" && (c.Token.Algorithm != auth.HS256 || c.Token.KeyFile == "") {
		return token, fmt.Errorf("%s has no secret by which tokens are signed (HS256): name one with --token-key-file", f.file)
	}
	f.log, f.log.ClientID = kc, "godwit-verify"
	return c.Token, err
}

// run makes the run. Its error decides the exit status.
func (f *verifyFlags) run(cmd *cobra.Command) error {
	stderr := cmd.ErrOrStderr()
	fmt.Fprintf(stderr, "seed %d; again: %s\n", f.settings.Seed, f.settings.Command)
	ctx, enough, stop := twice(cmd.Context(), stderr)
	defer stop()
	f.settings.Enough, f.settings.Progress = enough, stderr
	r, err := verify.Run(ctx, f.settings)
	if err != nil {
		return unclear(err)
	}
	if err := r.Text(cmd.OutOrStdout()); err != nil {
		return err
	}
	switch r.Outcome {
	case check.Passed:
		return nil
	case check.Failed:
		return errors.New("the run has failed")
	default:
		return unclear(errors.New("the outcome is unknown"))
	}
}

// unclear makes the exit status 2: whether the promises were kept, nobody knows.
func unclear(err error) error { return &usageError{err.Error()} }

// twice returns a channel that the first signal closes, and a context that the second ends.
func twice(parent context.Context, stderr io.Writer) (ctx context.Context, first <-chan struct{}, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		signal.Notify(signals, syscall.SIGHUP) // the terminal is gone, and there is much to tidy up
	}
	enough := make(chan struct{})
	go func() {
		select {
		case <-signals:
			fmt.Fprintln(stderr, "\ngodwit: ending the load; again to give up")
			close(enough)
		case <-ctx.Done():
			return
		}
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, enough, func() {
		signal.Stop(signals)
		cancel()
	}
}
