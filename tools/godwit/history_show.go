package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/codec"
)

// page is the answer of GET /v1/history.
type page struct {
	Messages   []pageMessage `json:"messages"`
	Before     string        `json:"before"`
	MoreBefore bool          `json:"more_before"`
}

type pageMessage struct {
	Time       int64    `json:"time"`
	From       string   `json:"from"`
	To         []string `json:"to"`
	Body       string   `json:"body"`
	BodyBase64 []byte   `json:"body_base64"`
}

func newHistoryShow() *cobra.Command {
	var (
		port               adminFlags
		user, peer, before string
		limit              int
		asJSON             bool
	)
	cmd := &cobra.Command{
		Use:   "show --user ID",
		Short: "Print a part of the timeline of a user",
		Long: `Print the newest messages of a user's timeline, sent and received, oldest first; with
--peer only the conversation with that user. What precedes them is printed with the
--before that the last line names.

With --json the answer is the object that GET /v1/history gives, whose members are those
of a history_page in docs/protocol.md.

` + adminHelp,
		Example: "  godwit history show --user alice --peer bob --limit 20\n  godwit history show --user alice --json --data ./godwit-data",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkUser(user); err != nil {
				return err
			}
			if limit < 1 || limit > codec.MaxPage {
				return usagef("--limit is %d: must be 1 to %d", limit, codec.MaxPage)
			}
			query := url.Values{"user": {user}, "limit": {strconv.Itoa(limit)}}
			for name, value := range map[string]string{"peer": peer, "before": before} {
				if value != "" {
					query.Set(name, value)
				}
			}
			return port.do(cmd, func(a *adminPort) error {
				body, err := a.ask(cmd.Context(), http.MethodGet, "/v1/history", query, nil, nil)
				if err != nil {
					return err
				}
				if asJSON {
					_, err = cmd.OutOrStdout().Write(body)
					return err
				}
				return printPage(cmd.OutOrStdout(), body)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&user, "user", "", "user whose timeline is printed")
	flags.StringVar(&peer, "peer", "", "only the conversation with this user")
	flags.IntVar(&limit, "limit", codec.DefaultPage, "the most messages")
	flags.StringVar(&before, "before", "", "only what precedes this cursor")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	port.add(cmd)
	return cmd
}

// printPage prints a page, a line for each message.
func printPage(out io.Writer, body []byte) error {
	var p page
	if err := json.Unmarshal(body, &p); err != nil {
		return fmt.Errorf("the answer cannot be read: %w", err)
	}
	var text strings.Builder
	for _, m := range p.Messages {
		body := m.Body
		if m.BodyBase64 != nil {
			body = string(m.BodyBase64)
		}
		to := make([]string, len(m.To))
		for i := range m.To {
			to[i] = printable(m.To[i])
		}
		fmt.Fprintf(&text, "%s %s -> %s: %s\n", time.UnixMilli(m.Time).Format(time.DateTime), printable(m.From), strings.Join(to, ", "), printable(body))
	}
	if p.MoreBefore {
		fmt.Fprintf(&text, "(more before: --before %s)\n", p.Before)
	}
	if text.Len() == 0 {
		text.WriteString("(nothing)\n")
	}
	_, err := io.WriteString(out, text.String())
	return err
}
