package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/backplane/embedded"
	"github.com/godwit-im/godwit/server"
	"github.com/godwit-im/godwit/server/config"
)

// devStartTimeout bounds the start of a node on a data folder, until it is ready.
const devStartTimeout = time.Minute

// adminFlags are the flags of the commands that ask an admin port.
type adminFlags struct{ url, tokenFile, data string }

// adminHelp is what their help has in common.
const adminHelp = `It asks the admin port of the node that serves the user: --admin, and --admin-token-file
where the port asks for a token. With --data it asks a node of its own, on the folder of
a godwit dev that is stopped.`

func (f *adminFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.url, "admin", "http://"+config.Default().Admin, "URL of the admin port")
	flags.StringVar(&f.tokenFile, "admin-token-file", "", "file with the token of the admin port")
	flags.StringVar(&f.data, "data", defaultData, "data folder of a godwit dev that is stopped")
}

// do calls f with what asks the admin port.
func (f *adminFlags) do(cmd *cobra.Command, ask func(*adminPort) error) error {
	if cmd.Flags().Changed("data") {
		if cmd.Flags().Changed("admin") || cmd.Flags().Changed("admin-token-file") {
			return usagef("--data and --admin exclude each other: with --data a node is started, and asked")
		}
		return withDevNode(cmd, f.data, ask)
	}
	port, err := newAdminPort(f.url, f.tokenFile)
	if err != nil {
		return err
	}
	return ask(port)
}

// devConfig returns the settings of a node on the data folder of godwit dev, which must
// be there, on ports that nobody else uses.
func devConfig(data string) (*config.Config, error) {
	if _, err := os.Stat(data); err != nil {
		return nil, fmt.Errorf("--data: %w", err)
	}
	c := config.Default()
	c.Listen, c.Admin = "127.0.0.1:0", "127.0.0.1:0"
	c.Log.Level = "warn"
	return &c, nil
}

// withDevNode starts a node on a data folder, calls ask when it is ready, and stops it.
func withDevNode(cmd *cobra.Command, data string, ask func(*adminPort) error) error {
	c, err := devConfig(data)
	if err != nil {
		return err
	}
	var log *slog.Logger
	if log, err = newLogger(c.Log, cmd.ErrOrStderr()); err != nil {
		return err
	}
	broker, o, err := openDev(c, data, log)
	if errors.Is(err, embedded.ErrInUse) {
		return fmt.Errorf("%w: leave out --data, and name its admin port with --admin", err)
	}
	if err != nil {
		return err
	}
	defer broker.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), devStartTimeout)
	defer cancel()
	node, err := server.Start(ctx, o)
	if err != nil {
		return err
	}
	err = awaitReady(ctx, node)
	var port *adminPort
	if err == nil {
		port, err = newAdminPort(node.AdminURL(), "")
	}
	if err == nil {
		err = ask(port)
	}
	end, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return errors.Join(err, node.Stop(end))
}

func awaitReady(ctx context.Context, n *server.Node) error {
	for {
		err := n.Ready()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}
