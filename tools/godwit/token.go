package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/server/auth"
)

// defaultData is the data folder of godwit dev, and so the place of its key.
const defaultData = "./godwit-data"

func newToken() *cobra.Command {
	var (
		user, data string
		ttl        time.Duration
	)
	cmd := &cobra.Command{
		Use:   "token --user ID",
		Short: "Sign a token for godwit dev and print it",
		Long: `Sign a token with the development key and print it, and nothing else.

The key is in the data folder of godwit dev; it is made if it is not there yet.
Servers in production take tokens of your own issuer: see token.key_file in
"godwit config --help".`,
		Example: "  godwit token --user alice\n  TOKEN=$(godwit token --user alice --ttl 24h)",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkUser(user); err != nil {
				return err
			}
			if ttl < time.Second {
				return usagef("--ttl is %v: a token must live a second or more", ttl)
			}
			key, err := auth.OpenDevKey(data)
			if err != nil {
				return err
			}
			token, err := key.Sign(user, ttl, time.Now())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
			return err
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "user that the token is for")
	cmd.Flags().DurationVar(&ttl, "ttl", time.Hour, "how long the token is good")
	cmd.Flags().StringVar(&data, "data", defaultData, "data folder of godwit dev")
	return cmd
}
