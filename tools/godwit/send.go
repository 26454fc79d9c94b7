package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/tools/client"
)

// sent is the outcome of the command, and its JSON.
type sent struct {
	Status    string         `json:"status"`
	ID        string         `json:"id,omitempty"`
	MessageID string         `json:"message_id,omitempty"`
	Time      int64          `json:"time,omitempty"`
	Code      backplane.Code `json:"code,omitempty"`
	Found     bool           `json:"found,omitempty"`
	Error     string         `json:"error,omitempty"`
}

func newSend() *cobra.Command {
	var (
		connect connectFlags
		message client.Outgoing
		kind    string
		timeout time.Duration
		asJSON  bool
	)
	cmd := &cobra.Command{
		Use:   "send --user ID --to ID [--to ID ...] BODY",
		Short: "Send a message and print its outcome",
		Long: `Send a message to one or more users, wait until its outcome is known, and print it:
"stored" and the message id. A BODY of - is read from standard input as it is. The
exit status is 0 only if the message is stored.

While the outcome is unknown the message is sent again with the same id, for 20 s at
most. Then the command looks into the history: a message that is found there is stored
for the sender at least. To try once more after the command has failed, give it the same --id, --device,
recipients and body: a message that was stored already is not stored twice within a
minute.

` + connectHelp + `

With --json the outcome is one object on a line: status is "stored" (with id,
message_id and time in Unix milliseconds), "rejected" (not stored, with id, code and
error), "unknown" (maybe stored, with id, error and perhaps code), or "failed" (not
stored, with error). With "unknown", found is true if the history has the message.`,
		Example: "  godwit send --user alice --to bob --to carol 'hello'\n  date | godwit send --user alice --to bob --json -",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if message.Kind, err = parseKind(kind); err != nil {
				return err
			}
			if len(message.To) == 0 {
				return usagef("--to is missing: the id of a user is needed")
			}
			if ttl := message.TTL; ttl < 0 || ttl > backplane.MaxTTL*time.Millisecond || ttl%time.Millisecond != 0 {
				return usagef("--ttl is %v: must be whole milliseconds, at most a year", ttl)
			}
			if timeout <= 0 {
				return usagef("--timeout is %v: must be above 0", timeout)
			}
			opts, err := connect.options()
			if err != nil {
				return err
			}
			if message.Body, err = readBody(cmd.InOrStdin(), args[0]); err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no outcome within %v", timeout))
			defer cancel()
			ack, err := sendOnce(ctx, cmd.ErrOrStderr(), opts, message)
			return printOutcome(cmd.OutOrStdout(), asJSON, ack, err)
		},
	}
	connect.add(cmd)
	flags := cmd.Flags()
	flags.StringArrayVar(&message.To, "to", nil, "recipient; give it again for each one")
	flags.StringVar(&kind, "kind", "message", "message, or signal: delivered to who is there, and forgotten")
	flags.DurationVar(&message.TTL, "ttl", 0, "how long the message is there, such as 10m (default: for ever)")
	flags.StringVar(&message.ID, "id", "", "id of the message (default: a random one)")
	flags.DurationVar(&timeout, "timeout", 30*time.Second, "how long to try, connecting included")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func parseKind(name string) (backplane.Kind, error) {
	switch name {
	case "message":
		return backplane.KindMessage, nil
	case "signal":
		return backplane.KindSignal, nil
	}
	return 0, usagef("--kind is %q: must be message or signal", name)
}

// readBody returns the body that an argument stands for.
func readBody(stdin io.Reader, arg string) ([]byte, error) {
	if arg != "-" {
		return []byte(arg), nil
	}
	body, err := io.ReadAll(io.LimitReader(stdin, backplane.MaxBody+1))
	if err != nil {
		return nil, fmt.Errorf("standard input cannot be read: %w", err)
	}
	if len(body) > backplane.MaxBody {
		return nil, fmt.Errorf("standard input is longer than the %d bytes of the largest body", backplane.MaxBody)
	}
	return body, nil
}

// sendOnce connects, sends one message, and disconnects.
func sendOnce(ctx context.Context, stderr io.Writer, opts client.Options, m client.Outgoing) (client.Ack, error) {
	var trouble, fatal error // why there is no connection, and why there will be none
	opts.OnState = func(s client.State) {
		if s.Err != nil || s.Phase == client.Connected {
			trouble = s.Err
		}
		notice(stderr, s)
	}
	c, err := newClient(opts)
	if err != nil {
		return client.Ack{}, err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wait sync.WaitGroup
	wait.Go(func() { fatal = c.Run(running) })
	ack, err := c.Send(ctx, m)
	stop()
	wait.Wait()
	var unknown *client.UnknownError
	switch {
	case err == nil || errors.As(err, &unknown):
		return ack, err
	case errors.Is(err, client.ErrClosed):
		return ack, fatal
	case ctx.Err() == nil:
		return ack, err
	case trouble != nil:
		return ack, fmt.Errorf("%w: %w", context.Cause(ctx), trouble)
	}
	return ack, context.Cause(ctx)
}

// printOutcome prints what became of a message. Its error is err, unless printing failed.
func printOutcome(out io.Writer, asJSON bool, ack client.Ack, err error) error {
	messageID := hex.EncodeToString(ack.MessageID[:])
	if !asJSON {
		if err == nil {
			_, err = fmt.Fprintf(out, "stored %s\n", messageID)
		}
		return err
	}
	var (
		rejected *client.RejectedError
		unknown  *client.UnknownError
		outcome  sent
	)
	switch {
	case err == nil:
		outcome = sent{Status: "stored", ID: ack.ID, MessageID: messageID, Time: ack.Time.UnixMilli()}
	case errors.As(err, &rejected):
		outcome = sent{Status: "rejected", ID: rejected.ID, Code: rejected.Code, Error: err.Error()}
	case errors.As(err, &unknown):
		outcome = sent{Status: "unknown", ID: unknown.ID, Code: unknown.Code, Found: unknown.Found, Error: err.Error()}
	default:
		outcome = sent{Status: "failed", Error: err.Error()}
	}
	return errors.Join(err, json.NewEncoder(out).Encode(&outcome))
}
