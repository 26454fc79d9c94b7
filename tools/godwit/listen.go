package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/tools/client"
)

func newListen() *cobra.Command {
	var (
		connect         connectFlags
		cursor          string
		start, overflow string
		asJSON          bool
	)
	cmd := &cobra.Command{
		Use:   "listen --user ID",
		Short: "Print the messages of a user as they arrive",
		Long: `Print the messages that a user receives, and those that its other devices send, as
they arrive, until Ctrl-C. A message is a line: the time, the sender, the body, with
escapes for what is not printable.

What is sent while there is no connection, or faster than it is read, comes later, in
order. So it does across runs of the command: the last line on standard error says
with which --cursor another run goes on. What is gone for good is a line in its place.
With --overflow gap, what is not read in time is left out, and a line says so; the
history has it.

` + connectHelp + `

With --json each line is an object. Its type is one of
  connected     url, user, node, cursor: messages after this cursor follow; resumed:
                the cursor is that of an earlier connection, and nothing after it is gone
  message       seq, cursor, time (Unix milliseconds), self (the user sent it),
                message_id, from, to, id, kind, ttl_ms if the message expires, and body,
                or body_base64 if the body is not text
  gone          after, before: what lies between these cursors is gone for good; or
                after and code: the server does not know this cursor, messages may be
                missing, and the command begins anew as --start says
  gap           from_seq, to_seq, reason, after, before: deliveries that were left out
  error         error: what else went wrong
  disconnected  url, error, retry_in_ms, cursor: everything up to it was printed; and
                final, which is true when the command ends
Without --json, connections and errors are told on standard error.`,
		Example: "  godwit listen --user bob\n  godwit listen --user bob --start last:20\n  godwit listen --user bob --json | jq .body",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts, err := connect.options()
			if err != nil {
				return err
			}
			opts.Cursor = cursor
			var ok bool
			if opts.Start, ok = codec.ParseStart(start); !ok {
				return usagef("--start is %q: must be live, or last: and a number from 1 to %d", start, codec.MaxStart)
			}
			if opts.Overflow, ok = codec.ParseOverflow(overflow); !ok {
				return usagef("--overflow is %q: must be auto or gap", overflow)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			l := listener{out: cmd.OutOrStdout(), notices: cmd.ErrOrStderr(), stop: cancel}
			if asJSON {
				l.listenJSON(&opts)
			} else {
				l.listenText(&opts)
			}
			if l.client, err = newClient(opts); err != nil {
				return err
			}
			if err := l.client.Run(ctx); err != nil {
				return err
			}
			return l.failed
		},
	}
	connect.add(cmd)
	cmd.Flags().StringVar(&cursor, "cursor", "", "go on after this cursor, of an earlier run")
	cmd.Flags().StringVar(&start, "start", "live", "where to begin without one: live, or last:N with the N newest messages")
	cmd.Flags().StringVar(&overflow, "overflow", "auto", "what becomes of what is not read in time: auto (it comes later) or gap")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, one object a line")
	return cmd
}

// listener prints what the callbacks of a client tell. They are called one at a time.
type listener struct {
	out, notices io.Writer
	client       *client.Client
	stop         func() // ends the command
	failed       error  // why nothing can be printed any more
}

func (l *listener) check(err error) {
	if err != nil && l.failed == nil {
		l.failed = err
		l.stop()
	}
}

func (l *listener) listenText(opts *client.Options) {
	opts.OnMessage = func(m client.Message) {
		l.line(m.Time, fmt.Sprintf("%s: %s", printable(m.From), printable(string(m.Body))))
	}
	opts.OnGap = func(g client.Gap) {
		l.line(time.Now(), fmt.Sprintf("-- %d left out (%s)", g.ToSeq-g.FromSeq+1, printable(string(g.Reason))))
	}
	opts.OnGone = func(g client.Gone) {
		text := "-- messages are gone for good: their time to be kept is over"
		if g.Code != "" {
			text = fmt.Sprintf("-- messages may be missing: the server does not take the cursor %s (%s)", printable(g.After), printable(string(g.Code)))
		}
		l.line(time.Now(), text)
	}
	opts.OnError = func(err error) { fmt.Fprintf(l.notices, "godwit: %v\n", err) }
	opts.OnState = func(s client.State) {
		if s.Phase == client.Connected {
			fmt.Fprintf(l.notices, "connected to %s as %s\n", s.URL, printable(s.Welcome.User))
		}
		notice(l.notices, s)
		if cursor := l.client.Cursor(); s.Final && cursor != "" {
			fmt.Fprintf(l.notices, "to go on from here: --cursor %s\n", printable(cursor))
		}
	}
}

func (l *listener) line(at time.Time, text string) {
	_, err := fmt.Fprintf(l.out, "%s %s\n", at.Format(time.TimeOnly), text)
	l.check(err)
}

// printable returns text with escapes for what is not printable, so that nobody's message
// can move the cursor of somebody else's terminal.
func printable(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		c, size := utf8.DecodeRuneInString(text)
		switch {
		case c == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case strconv.IsPrint(c):
			b.WriteRune(c)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(c), "'"))
		}
		text = text[size:]
	}
	return b.String()
}

// The objects of --json.
type (
	connectedJSON struct {
		Type    string `json:"type"`
		URL     string `json:"url"`
		User    string `json:"user"`
		Node    string `json:"node"`
		Cursor  string `json:"cursor"`
		Resumed bool   `json:"resumed"`
	}
	messageJSON struct {
		Type       string   `json:"type"`
		Seq        uint64   `json:"seq"`
		Cursor     string   `json:"cursor"`
		Time       int64    `json:"time"`
		Self       bool     `json:"self"`
		MessageID  string   `json:"message_id"`
		From       string   `json:"from"`
		To         []string `json:"to"`
		ID         string   `json:"id"`
		Kind       string   `json:"kind"`
		TTL        int64    `json:"ttl_ms,omitempty"`
		Body       *string  `json:"body,omitempty"`
		BodyBase64 []byte   `json:"body_base64,omitempty"`
	}
	goneJSON struct {
		Type   string `json:"type"`
		After  string `json:"after"`
		Before string `json:"before,omitempty"`
		Code   string `json:"code,omitempty"`
	}
	gapJSON struct {
		Type    string `json:"type"`
		FromSeq uint64 `json:"from_seq"`
		ToSeq   uint64 `json:"to_seq"`
		Reason  string `json:"reason"`
		After   string `json:"after"`
		Before  string `json:"before"`
	}
	errorJSON struct {
		Type  string `json:"type"`
		Error string `json:"error"`
	}
	disconnectedJSON struct {
		Type      string `json:"type"`
		URL       string `json:"url"`
		Error     string `json:"error,omitempty"`
		RetryInMS int64  `json:"retry_in_ms"`
		Cursor    string `json:"cursor"`
		Final     bool   `json:"final"`
	}
)

func (l *listener) listenJSON(opts *client.Options) {
	encoder := json.NewEncoder(l.out)
	encoder.SetEscapeHTML(false)
	put := func(v any) { l.check(encoder.Encode(v)) }
	opts.OnMessage = func(m client.Message) { put(jsonMessage(&m)) }
	opts.OnGap = func(g client.Gap) {
		put(&gapJSON{"gap", g.FromSeq, g.ToSeq, string(g.Reason), g.After, g.Before})
	}
	opts.OnGone = func(g client.Gone) { put(&goneJSON{"gone", g.After, g.Before, string(g.Code)}) }
	opts.OnError = func(err error) { put(&errorJSON{"error", err.Error()}) }
	opts.OnState = func(s client.State) {
		switch s.Phase {
		case client.Connected:
			w := s.Welcome
			put(&connectedJSON{"connected", s.URL, w.User, w.Node, string(w.Cursor), w.Resumed})
		case client.Disconnected:
			d := disconnectedJSON{Type: "disconnected", URL: s.URL, RetryInMS: s.RetryIn.Milliseconds(), Cursor: l.client.Cursor(), Final: s.Final}
			if s.Err != nil {
				d.Error = s.Err.Error()
			}
			put(&d)
		}
	}
}

func jsonMessage(m *client.Message) *messageJSON {
	v := &messageJSON{
		Type: "message", Seq: m.Seq, Cursor: m.Cursor, Time: m.Time.UnixMilli(), Self: m.Self,
		MessageID: hex.EncodeToString(m.MessageID[:]), From: m.From, To: m.To, ID: m.ID, Kind: kindName(m.Kind), TTL: m.TTL.Milliseconds(),
	}
	if body := string(m.Body); utf8.ValidString(body) {
		v.Body = &body
	} else {
		v.BodyBase64 = m.Body
	}
	return v
}

func kindName(k backplane.Kind) string {
	switch k {
	case backplane.KindMessage:
		return "message"
	case backplane.KindSignal:
		return "signal"
	}
	return "unknown"
}
