package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/backplane/embedded"
	"github.com/godwit-im/godwit/server"
	"github.com/godwit-im/godwit/server/auth"
	"github.com/godwit-im/godwit/server/config"
	"github.com/godwit-im/godwit/tools/web"
)

func newDev() *cobra.Command {
	c := config.Default()
	data := defaultData
	level := "warn"
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a node with an embedded broker, to try it out",
		Long: `Run one node with an embedded broker and pages to try it on, until Ctrl-C.

Messages are kept in the data folder; they survive a kill of the process, but not
for certain a loss of power. Tokens are signed with a development key in the same
folder, by "godwit token" and for whoever asks the admin port: so both ports listen
on loopback addresses only.`,
		Example: "  godwit dev\n  godwit dev --listen 127.0.0.1:9000 --admin 127.0.0.1:9001 --data /tmp/godwit",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for flag, address := range map[string]string{"listen": c.Listen, "admin": c.Admin} {
				if err := checkLoopback(address); err != nil {
					return usagef("--%s is %q: %v", flag, address, err)
				}
			}
			c.Log.Level = level
			return runDev(cmd.OutOrStdout(), cmd.ErrOrStderr(), &c, data)
		},
	}
	cmd.Flags().StringVar(&c.Listen, "listen", c.Listen, "loopback address for clients")
	cmd.Flags().StringVar(&c.Admin, "admin", c.Admin, "loopback address for pages, metrics and backends")
	cmd.Flags().StringVar(&data, "data", data, "data folder")
	cmd.Flags().StringVar(&level, "log-level", level, "debug, info, warn or error")
	return cmd
}

// checkLoopback checks an address for a node that takes anyone for anyone.
func checkLoopback(address string) error {
	a, err := net.ResolveTCPAddr("tcp", address)
	switch {
	case err != nil:
		return err
	case !a.IP.IsLoopback():
		return fmt.Errorf("a development node listens on loopback addresses only, such as 127.0.0.1:8080; see godwit serve")
	}
	return nil
}

func runDev(stdout, stderr io.Writer, c *config.Config, data string) error {
	log, err := newLogger(c.Log, stderr)
	if err != nil {
		return err
	}
	broker, o, err := openDev(c, data, log)
	if err != nil {
		return err
	}
	defer broker.Close()
	o.Pages = web.Handler()
	return runNode(o, func(n *server.Node) { greet(stdout, n, data) })
}

// openDev starts the embedded broker of a data folder, which the caller closes, and returns
// what a node on it is started with.
func openDev(c *config.Config, data string, log *slog.Logger) (_ *embedded.Broker, o server.Options, err error) {
	key, err := auth.OpenDevKey(data)
	if err != nil {
		return nil, o, err
	}
	secret, err := auth.ReadKey(key.File())
	if err != nil {
		return nil, o, err
	}
	ec := embedded.DefaultConfig()
	ec.DataDir, ec.Logger = data, log
	broker, err := embedded.Start(ec)
	if err != nil {
		return nil, o, err
	}
	c.Node = "dev"
	c.Kafka.Brokers = []string{broker.Addr()}
	c.Kafka.Namespace, c.Kafka.Generation, c.Kafka.Partitions = ec.Namespace, ec.Generation, ec.Partitions
	c.Token.KeyFile = key.File()
	c.History.Store, c.History.Folder = config.HistoryPebble, filepath.Join(data, "history")
	c, err = config.Load(*c, nil, nil) // completes and checks it
	if err != nil {
		broker.Close()
		return nil, o, err
	}
	return broker, server.Options{
		Config: c, Key: secret, Embedded: true, Log: log,
		Sign: func(user string, ttl time.Duration) (string, error) { return key.Sign(user, ttl, time.Now()) },
	}, nil
}

// greet tells where everything is, and what to do next.
func greet(w io.Writer, n *server.Node, data string) {
	flags := ""
	if n.URL() != config.ConnectURL(config.Default().Listen) {
		flags += " --url " + n.URL()
	}
	if data != defaultData {
		flags += " --data " + data
	}
	fmt.Fprintf(w, `godwit dev: one node with an embedded broker, for trying it out.

  clients  %s
  admin    %s  (pages, /metrics, /healthz, POST /v1/messages)
  data     %s

Try it:
  1. open %s/ in a browser
  2. %[5]s listen --user bob%[6]s
  3. %[5]s send --user alice --to bob%[6]s 'hello'

Ctrl-C stops it.
`, n.URL(), n.AdminURL(), data, n.AdminURL(), os.Args[0], flags)
}
