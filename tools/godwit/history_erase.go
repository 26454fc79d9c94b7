package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/server/admin"
)

func newHistoryErase() *cobra.Command {
	var (
		port adminFlags
		user string
		yes  bool
	)
	cmd := &cobra.Command{
		Use:   "erase --user ID",
		Short: "Erase the timeline of a user",
		Long: `Erase everything that is in the timeline of a user by now: what the user has sent and
received is not shown to the user's devices any more, and is removed from history.
What comes later is kept. It cannot be undone.

It is the user's timeline that is erased, not the messages: those with whom the user
exchanged them keep their copies, each in a timeline of its own. And the records stay in
the log, out of sight, until its retention is over; the command tells when that is.

` + adminHelp,
		Example: "  godwit history erase --user alice\n  godwit history erase --user alice --admin https://n1.example.org:8081 --admin-token-file token --yes",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkUser(user); err != nil {
				return err
			}
			if !yes {
				if err := confirm(cmd, fmt.Sprintf("This erases the timeline of user %q for good.", user)); err != nil {
					return err
				}
			}
			return port.do(cmd, func(a *adminPort) error {
				body, err := a.ask(cmd.Context(), http.MethodDelete, "/v1/history", url.Values{"user": {user}}, nil, nil)
				if err != nil {
					return err
				}
				var done admin.Erasure
				if err := json.Unmarshal(body, &done); err != nil {
					return fmt.Errorf("the answer cannot be read: %w", err)
				}
				_, err = fmt.Fprint(cmd.OutOrStdout(), describeErasure(&done))
				return err
			})
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "user whose timeline is erased")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	port.add(cmd)
	return cmd
}

// describeErasure tells what was erased and what was not.
func describeErasure(e *admin.Erasure) string {
	at := time.UnixMilli(e.Time)
	log := "The log keeps the records for ever: its retention is not bounded."
	if e.LogRetentionMS > 0 {
		keep := time.Duration(e.LogRetentionMS) * time.Millisecond
		log = fmt.Sprintf("The log keeps the records until its retention (%v) is over: about %s.", keep, at.Add(keep).Format(time.DateTime))
	}
	return fmt.Sprintf("erased the timeline of %s up to %s\n%s\nThose with whom the user exchanged messages keep their copies.\n",
		printable(e.User), at.Format(time.DateTime), log)
}
