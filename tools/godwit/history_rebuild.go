package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/backplane/history/pebble"
	"github.com/godwit-im/godwit/server"
	"github.com/godwit-im/godwit/server/config"
	"github.com/godwit-im/godwit/server/historian"
)

// progressEvery is how often the progress of a rebuild is printed.
const progressEvery = 2 * time.Second

// resetTimeout bounds the removal of everything that Cassandra has.
const resetTimeout = 10 * time.Minute

func newHistoryRebuild() *cobra.Command {
	var (
		data string
		yes  bool
	)
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "Remove the history, and write it anew from the log",
		Long: `Remove the history of all users, and write it anew from what the log still has. What is
older than that is lost. It mends a store that is damaged, or was written from another
log.

With history.store: pebble the node must be stopped. With cassandra all godwit history
run processes and all nodes must be; processes and nodes may be started when the
progress is printed, and serve what is there already.

It prints how far it has come. When it is stopped, the node, or godwit history run,
goes on from there. With --data it rebuilds the history of a godwit dev that is stopped.`,
		Example: "  godwit history rebuild --config godwit.yaml\n  godwit history rebuild --data ./godwit-data --yes",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			r := rebuild{cmd: cmd, yes: yes}
			var err error
			switch {
			case !cmd.Flags().Changed("data"):
				err = r.runConfigured(ctx)
			case cmd.Flags().Changed(config.FileFlag):
				return usagef("--data and --%s exclude each other: godwit dev has settings of its own", config.FileFlag)
			default:
				err = r.runDev(ctx, data)
			}
			if errors.Is(err, context.Canceled) {
				return errors.New("stopped: the history is not complete yet, and whoever writes it next goes on")
			}
			return err
		},
	}
	cmd.Flags().StringVar(&data, "data", defaultData, "rebuild the history in this data folder of godwit dev")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	addHistoryFlags(cmd, "data", "yes", "history-", "kafka-", "log-", "workers", "unsafe")
	return cmd
}

// rebuild is a run of the command.
type rebuild struct {
	cmd *cobra.Command
	yes bool
	log *slog.Logger
}

func (r *rebuild) runConfigured(ctx context.Context) error {
	c, err := historySettings(r.cmd)
	if err != nil {
		return err
	}
	if r.log, err = newLogger(c.Log, r.cmd.ErrOrStderr()); err != nil {
		return err
	}
	return r.run(ctx, c, false)
}

// runDev rebuilds the history of a folder of godwit dev.
func (r *rebuild) runDev(ctx context.Context, data string) error {
	base, err := devConfig(data)
	if err != nil {
		return err
	}
	if r.log, err = newLogger(base.Log, r.cmd.ErrOrStderr()); err != nil {
		return err
	}
	broker, o, err := openDev(base, data, r.log)
	if err != nil {
		return err
	}
	defer broker.Close()
	return r.run(ctx, o.Config, true)
}

func (r *rebuild) run(ctx context.Context, c *config.Config, embedded bool) (err error) {
	if c.History.Store == config.HistoryNone {
		return fmt.Errorf("history.store is %q: no history is kept", c.History.Store)
	}
	// Whatever can fail comes before anything is removed.
	hc, err := server.HistorianConfig(ctx, c, embedded, r.log)
	if err != nil {
		return err
	}
	place := "in keyspace " + c.History.Cassandra.Keyspace
	if c.History.Store == config.HistoryPebble {
		place = "in " + c.History.Folder
	}
	if !r.yes {
		if err := confirm(r.cmd, "This removes the history "+place+", of which only what is still in the log can be written anew."); err != nil {
			return err
		}
	}
	if c.History.Store == config.HistoryPebble {
		if err := pebble.Remove(c.History.Folder); err != nil {
			return err
		}
	}
	if hc.Store, err = historian.Open(ctx, c, hc.Kafka, r.log); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hc.Store.Close()) }()
	if c.History.Store == config.HistoryCassandra {
		if err := reset(ctx, &hc); err != nil {
			return err
		}
	}
	p := progress{out: r.cmd.OutOrStdout(), begun: time.Now()}
	if err := historian.Rebuild(ctx, hc, p.tell); err != nil {
		return err
	}
	return p.end()
}

// reset removes everything from a store that nobody else writes.
func reset(ctx context.Context, c *historian.Config) error {
	release, err := historian.Claim(ctx, c.Kafka, c.Group)
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, resetTimeout)
	defer cancel()
	return c.Store.Reset(ctx)
}

// progress prints how far a rebuild has come.
type progress struct {
	out    io.Writer
	begun  time.Time
	told   time.Time
	latest historian.Progress
	err    error // of the first write that failed
}

// tell takes note of the progress, and prints it now and then.
func (p *progress) tell(now historian.Progress) {
	p.latest = now
	if time.Since(p.told) >= progressEvery {
		p.told = time.Now()
		p.print()
	}
}

func (p *progress) print() {
	percent := int64(100)
	if p.latest.Total > 0 {
		percent = 100 * p.latest.Applied / p.latest.Total
	}
	_, err := fmt.Fprintf(p.out, "%3d %%  %d of %d records after %v\n", percent, p.latest.Applied, p.latest.Total, time.Since(p.begun).Truncate(100*time.Millisecond))
	p.err = errors.Join(p.err, err)
}

// end prints the end, and returns what went wrong while printing.
func (p *progress) end() error {
	p.print()
	_, err := fmt.Fprintln(p.out, "the history is complete, as far as the log goes back")
	return errors.Join(p.err, err)
}
