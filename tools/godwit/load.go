package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/bench/load"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/auth"
	"github.com/godwit-im/godwit/server/config"
)

// loadFlags are the flags of godwit load.
type loadFlags struct {
	urls                    []string
	data, keyFile, encoding string
	fanout, slow, storm     int
	connectRate             float64
	stormEvery              time.Duration
	asJSON                  bool
	config                  load.Config
	traffic                 load.Traffic
}

func newLoad() *cobra.Command {
	f := loadFlags{
		config:  load.Config{Users: 1000, Prefix: "load-", Heartbeats: true},
		traffic: load.Traffic{Size: 200, Rate: 100, Duration: 30 * time.Second},
	}
	devices := 1
	cmd := &cobra.Command{
		Use:   "load",
		Short: "Put a server under load and report what became of every message",
		Long: `Connect many users, have them send each other messages, and report rates and
latencies, and whether every connection got every message exactly once. Ctrl-C ends
the sending early; the report comes all the same.

The users are named load-0, load-1 and so on. Their tokens are signed with the secret
in --token-key-file (HS256), or with the development key in the data folder of godwit
dev. The URL is that of one node, and all users must live there; it must begin with
ws, not wss.

With --follow they are clients of a cluster: --url names one or more of its nodes, they go
where these direct them, and come back when they are lost, with their cursors and after
pauses that grow and are random. So it tells what the death, a drain or a restart of a node
does to them: kill one while it runs.

With --rate messages are sent at fixed times, however long the answers take, and
latencies count from those times. Without it (0) there are always --in-flight messages
on their way. With --fanout a message goes to that many users of one partition, which
is one record of the log; --partitions must be the server's.

With --slow so many connections stop reading. With --storm so many are cut, and connect
again at once, every --storm-every. What slow and cut connections miss is not counted
as lost: they are "unchecked".

The server's own limits count: limits.sends_per_second above all. More connections than
RLIMIT_NOFILE allows are possible, up to a million; 16,000 of them share a thread then.

The exit status is 0 only if no message was lost, doubled or damaged.`,
		Example: "  godwit load --users 5000 --rate 2000 --duration 1m\n  godwit load --users 1000 --fanout 64 --partitions 64 --rate 50 --slow 10 --json\n  godwit load --users 10000 --rate 0 --in-flight 500 --storm 1000 --storm-every 10s",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if devices < 1 {
				return usagef("--devices is %d: must be 1 or more", devices)
			}
			f.config.Connections = f.config.Users * devices
			if err := f.complete(); err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return f.run(ctx, stop, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.urls, "url", []string{"ws://127.0.0.1:8080"}, "ws URL of the node; with --follow it may be given more than once")
	flags.BoolVar(&f.config.Follow, "follow", false, "find the nodes of a cluster, and come back when a connection is lost")
	flags.StringVar(&f.keyFile, "token-key-file", "", "file with the HS256 secret (default: the key of godwit dev)")
	flags.StringVar(&f.data, "data", defaultData, "data folder of godwit dev, for its key")
	flags.StringVar(&f.encoding, "encoding", codec.Proto.String(), "encoding of the frames: json or proto")
	flags.IntVar(&f.config.Users, "users", f.config.Users, "users")
	flags.IntVar(&devices, "devices", devices, "connections of each user")
	flags.Float64Var(&f.connectRate, "connect-rate", 0, "connections opened a second (0: as fast as the server takes them)")
	flags.Float64Var(&f.traffic.Rate, "rate", f.traffic.Rate, "messages a second, all together (0: as many as are answered)")
	flags.IntVar(&f.traffic.InFlight, "in-flight", 100, "messages on their way at once, with --rate 0")
	flags.IntVar(&f.traffic.Size, "size", f.traffic.Size, fmt.Sprintf("bytes of a body, %d to %d", load.MinSize, backplane.MaxBody))
	flags.IntVar(&f.fanout, "fanout", 1, "users that a message goes to, at most 64")
	flags.Int32Var(&f.config.Partitions, "partitions", 64, "partitions of the server's log, for --fanout (godwit dev has 64)")
	flags.IntVar(&f.slow, "slow", 0, "connections that stop reading")
	flags.IntVar(&f.storm, "storm", 0, "connections that reconnect at once")
	flags.DurationVar(&f.stormEvery, "storm-every", 10*time.Second, "time between two storms")
	flags.DurationVar(&f.traffic.Duration, "duration", f.traffic.Duration, "how long messages are sent; 0 connects only, until Ctrl-C")
	flags.BoolVar(&f.asJSON, "json", false, "print the report as JSON")
	flags.SortFlags = false
	return cmd
}

// complete checks the flags and makes the rest of the configuration from them.
func (f *loadFlags) complete() error {
	if err := f.readURLs(); err != nil {
		return err
	}
	switch f.encoding {
	case codec.JSON.String():
		f.config.Protocol = load.JSON
	case codec.Proto.String():
		f.config.Protocol = load.Proto
	default:
		return usagef("--encoding is %q: must be json or proto", f.encoding)
	}
	if f.traffic.Duration < 0 || f.connectRate < 0 {
		return usagef("--duration and --connect-rate must not be negative")
	}
	switch {
	case f.fanout == 1:
		f.traffic.Shape = load.Unicast
	case f.fanout >= 2 && f.fanout <= backplane.MaxRecipients:
		f.traffic.Shape, f.traffic.Fanout = load.Group, f.fanout+1 // the sender is one of them
	default:
		return usagef("--fanout is %d: must be 1 to %d", f.fanout, backplane.MaxRecipients)
	}
	f.config.Tables = f.config.Connections > sharedTable
	if err := f.readKey(); err != nil {
		return err
	}
	err := f.config.Validate()
	if err == nil && f.traffic.Duration != 0 {
		err = f.traffic.Validate(f.config)
	}
	if err != nil {
		return &usageError{err.Error()}
	}
	if f.slow < 0 || f.storm < 0 || f.slow+f.storm > f.config.Connections {
		return usagef("--slow is %d and --storm %d: there are %d connections", f.slow, f.storm, f.config.Connections)
	}
	if f.storm > 0 && f.stormEvery <= 0 {
		return usagef("--storm-every is %v: must be above 0", f.stormEvery)
	}
	return nil
}

// readURLs takes the nodes from --url.
func (f *loadFlags) readURLs() error {
	if len(f.urls) == 0 || len(f.urls) > 1 && !f.config.Follow {
		return usagef("--url names %d nodes: it must be one, or more with --follow", len(f.urls))
	}
	for i, text := range f.urls {
		u, err := url.Parse(text)
		switch {
		case err != nil || u.Scheme != "ws" || u.Host == "":
			return usagef("--url is %q: must be a ws URL, such as ws://127.0.0.1:8080", text)
		case u.Port() == "":
			u.Host += ":80"
		}
		if i > 0 {
			f.config.Seeds = append(f.config.Seeds, u.Host)
			continue
		}
		f.config.Addr = u.Host
		if u.Path != "" && u.Path != "/" {
			f.config.Path = u.Path
		} else {
			f.config.Path = config.ConnectPath
		}
	}
	return nil
}

// sharedTable is how many connections the process's usual table of descriptors takes,
// whose limit is often 20,000.
const sharedTable = 16_000

func (f *loadFlags) readKey() error {
	file := f.keyFile
	if file == "" {
		key, err := auth.OpenDevKey(f.data)
		if err != nil {
			return err
		}
		file = key.File()
	}
	var err error
	f.config.Key, err = auth.ReadKey(file)
	return err
}

// loadReport is the outcome of the command, and its JSON.
type loadReport struct {
	Connected load.Result   `json:"connected"`
	Slow      int           `json:"slow"`
	Storms    []load.Result `json:"storms"`
	Traffic   load.Result   `json:"traffic"`
}

// run does it all. stop gives signals their usual effect back.
func (f *loadFlags) run(ctx context.Context, stop func(), stdout, stderr io.Writer) (err error) {
	g, err := load.New(f.config)
	if err != nil {
		return err
	}
	defer g.Close()
	watch := startWatch(g, stderr)
	defer watch.end()
	var r loadReport
	if r.Connected, err = g.Connect(ctx, f.config.Connections, f.connectRate); err != nil {
		return err
	}
	if r.Connected.Stats.Open == 0 {
		return fmt.Errorf("no connection was opened: %v", r.Connected.Stats.Events)
	}
	r.Slow = g.Slow(f.slow)
	if f.traffic.Duration == 0 {
		f.storms(ctx, g, &r)
		<-ctx.Done()
		r.Traffic.Stats = g.Stats()
	} else {
		sending, sent := context.WithCancel(ctx)
		stormed := make(chan struct{})
		go func() {
			defer close(stormed)
			f.storms(sending, g, &r)
		}()
		time.AfterFunc(f.traffic.Duration, sent)
		r.Traffic, err = g.Run(ctx, f.traffic)
		sent()
		<-stormed
		if err != nil {
			return err
		}
	}
	stop()
	watch.end()
	if err := r.print(stdout, f.asJSON); err != nil {
		return err
	}
	return r.verdict()
}

// storms has connections reconnect, again and again until ctx ends.
func (f *loadFlags) storms(ctx context.Context, g *load.Generator, r *loadReport) {
	if f.storm == 0 {
		return
	}
	every := time.NewTicker(f.stormEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
		// It is not cut short: half a storm says nothing.
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		result, err := g.Storm(limit, f.storm, 0)
		cancel()
		r.Storms = append(r.Storms, result)
		if err != nil {
			return // the report tells what failed
		}
	}
}

// verdict returns an error if messages were lost, doubled or damaged.
func (r *loadReport) verdict() error {
	s, c := &r.Traffic.Stats, &r.Traffic.Check
	var errs []error
	for _, wrong := range []struct {
		n    int64
		text string
	}{
		{c.Lost, "messages were lost"}, {c.Doubled, "messages came twice"}, {c.Wrong, "connections got others than they should have"},
		{s.Bad, "messages were damaged"}, {s.Missing, "sequence numbers were skipped"}, {s.Repeated, "sequence numbers came again"},
	} {
		if wrong.n > 0 {
			errs = append(errs, fmt.Errorf("%d %s", wrong.n, wrong.text))
		}
	}
	return errors.Join(errs...)
}

func (r *loadReport) print(w io.Writer, asJSON bool) error {
	if asJSON {
		if r.Storms == nil {
			r.Storms = []load.Result{}
		}
		return json.NewEncoder(w).Encode(r)
	}
	return r.printText(w)
}
