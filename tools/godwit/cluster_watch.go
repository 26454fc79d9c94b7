package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/server/admin"
)

const (
	// watchSilence is how long a node may be silent before another one is asked: it says
	// every 5 s that it is there.
	watchSilence = 12 * time.Second

	// watchRetry is the pause before another node is asked.
	watchRetry = 500 * time.Millisecond

	// maxEvent bounds a line of the stream: a status of a large cluster.
	maxEvent = maxAnswer
)

func newClusterWatch() *cobra.Command {
	var f clusterFlags
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Show what happens in the cluster",
		Long: `Show what happens in the cluster, until Ctrl-C: on a terminal a table of the nodes and
the latest changes below it; elsewhere each change as a line. When the node that is asked
goes away, another one is asked, by the addresses that the cluster knows.

With --json the lines are those of GET /v1/cluster/watch; docs/cluster.md has their
members.

` + clusterHelp,
		Example: "  godwit cluster watch\n  godwit cluster watch --json | jq -c 'select(.type == \"decision\")'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			port, err := f.port()
			if err != nil {
				return err
			}
			var v clusterView = &clusterLines{w: cmd.OutOrStdout(), notes: cmd.ErrOrStderr(), asJSON: f.asJSON}
			if file, ok := cmd.OutOrStdout().(*os.File); ok && !f.asJSON && isTerminal(file) {
				screen := newClusterScreen(ctx, file, port)
				defer screen.close()
				v = screen
			}
			return followCluster(ctx, port, v)
		},
	}
	f.add(cmd)
	return cmd
}

// clusterView shows what a stream tells. One goroutine calls it.
type clusterView interface {
	// follow tells which node is asked from now on, by the URL of its admin port.
	follow(url string)
	// event shows an event; line is its JSON.
	event(e *admin.ClusterEvent, line []byte) error
	// note tells that something is in the way of seeing more.
	note(text string)
}

// followCluster shows the streams of one node after the other, until ctx ends. If the first
// does not even begin, that is its error.
func followCluster(ctx context.Context, port *adminPort, v clusterView) error {
	turn := nodeTurn{urls: []string{port.url}}
	for began := false; ; {
		v.follow(port.url)
		status, err := followNode(ctx, port, v)
		if status != nil {
			began = true
			turn.learn(status)
		}
		var output *outputError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &output):
			return output.err
		case !began:
			return err
		}
		next := turn.after(port.url)
		v.note(fmt.Sprintf("%v; asking %s", err, next))
		port.url = next
		select {
		case <-time.After(watchRetry):
		case <-ctx.Done():
			return nil
		}
	}
}

// outputError is an error of the output, after which there is no use in going on.
type outputError struct{ err error }

func (e *outputError) Error() string { return e.err.Error() }

// followNode shows the stream of a node until it ends, and returns the status that it
// began with, nil if it did not begin, and why it ended.
func followNode(ctx context.Context, port *adminPort, v clusterView) (*admin.ClusterStatus, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(watchSilence, func() {
		cancel(fmt.Errorf("%s is silent", port.url))
	})
	defer silence.Stop()
	resp, err := port.open(ctx, http.MethodGet, "/v1/cluster/watch", nil, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var status *admin.ClusterStatus
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		silence.Reset(watchSilence)
		var e admin.ClusterEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return status, fmt.Errorf("what %s says cannot be read: %w", port.url, err)
		}
		if e.Type == admin.EventStatus && e.Status != nil {
			status = e.Status
		}
		if err := v.event(&e, lines.Bytes()); err != nil {
			return status, &outputError{err}
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		return status, cause
	}
	if err := lines.Err(); err != nil {
		return status, fmt.Errorf("%s does not answer any more: %w", port.url, err)
	}
	return status, fmt.Errorf("%s has ended the stream", port.url)
}

// nodeTurn is the admin ports of a cluster, to be asked in turn.
type nodeTurn struct{ urls []string }

// learn takes the addresses of the nodes that run. The token goes to all of them, so
// whoever was reached by https is not followed by one that is not.
func (t *nodeTurn) learn(s *admin.ClusterStatus) {
	secure := strings.HasPrefix(t.urls[0], "https:")
	urls := t.urls[:1:1] // the one that was named: its host may have another name for others
	for i := range s.Nodes {
		n := &s.Nodes[i]
		url := strings.TrimSuffix(n.Admin, "/")
		if n.State != cluster.Left && url != "" && url != urls[0] && (!secure || strings.HasPrefix(url, "https:")) {
			urls = append(urls, url)
		}
	}
	t.urls = urls
}

// after returns the address that follows one.
func (t *nodeTurn) after(url string) string {
	for i, u := range t.urls {
		if u == url {
			return t.urls[(i+1)%len(t.urls)]
		}
	}
	return t.urls[0]
}

// clusterLines prints each event as a line.
type clusterLines struct {
	w, notes io.Writer
	asJSON   bool
}

func (l *clusterLines) follow(string) {}

func (l *clusterLines) event(e *admin.ClusterEvent, line []byte) error {
	if l.asJSON {
		_, err := fmt.Fprintf(l.w, "%s\n", line)
		return err
	}
	text := eventText(e)
	if text == "" {
		return nil
	}
	_, err := fmt.Fprintln(l.w, text)
	return err
}

func (l *clusterLines) note(text string) { fmt.Fprintln(l.notes, "godwit:", text) }

// eventText returns an event as a line for people, "" if it is nothing for them.
func eventText(e *admin.ClusterEvent) string {
	text := e.Text
	switch {
	case e.Type == admin.EventAlive:
		return ""
	case e.Status != nil:
		owners := 0
		for i := range e.Status.Nodes {
			if e.Status.Nodes[i].Owner > 0 {
				owners++
			}
		}
		text = fmt.Sprintf("%s sees %d nodes, %d of which own the %d partitions", e.Status.Node, len(e.Status.Nodes), owners, e.Status.Settings.Partitions)
		if e.Status.Controller != nil {
			text += ", and the controller " + e.Status.Controller.Node
		}
	case e.Decision != nil:
		text = fmt.Sprintf("%s decides: %s", e.Decision.By, text)
	}
	return fmt.Sprintf("%s [%d] %s", time.UnixMilli(e.Time).Format(time.TimeOnly), e.MapVersion, printable(text))
}
