package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/auth"
	"github.com/godwit-im/godwit/tools/client"
)

// connectFlags are the flags of the commands that connect as a user.
type connectFlags struct {
	urls                                []string
	user, token, data, device, encoding string
}

// connectHelp is what their help has in common.
const connectHelp = `The token is --token, or one for --user signed with the development key in the data
folder of godwit dev, as "godwit token" does it.`

// devTokenTTL is how long such a token is good. A new one is signed for every connection;
// when it ends, so does that connection.
const devTokenTTL = 24 * time.Hour

func (f *connectFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.urls, "url", []string{"ws://127.0.0.1:8080"}, "ws or wss URLs of any nodes")
	flags.StringVar(&f.user, "user", "", "user to connect as; not needed with --token")
	flags.StringVar(&f.token, "token", "", "token to connect with")
	flags.StringVar(&f.data, "data", defaultData, "data folder of godwit dev, for its key")
	flags.StringVar(&f.device, "device", "", "name of the device (default: a random one)")
	flags.StringVar(&f.encoding, "encoding", codec.Proto.String(), "encoding of the frames: json or proto")
}

// options checks the flags and returns what they say.
func (f *connectFlags) options() (client.Options, error) {
	opts := client.Options{URLs: f.urls, Device: f.device}
	switch f.encoding {
	case codec.JSON.String():
		opts.JSON = true
	case codec.Proto.String():
	default:
		return opts, usagef("--encoding is %q: must be json or proto", f.encoding)
	}
	if f.token != "" {
		opts.Token = client.StaticToken(f.token)
		return opts, f.checkTokenUser()
	}
	if err := checkUser(f.user); err != nil {
		return opts, err
	}
	key, err := auth.OpenDevKey(f.data)
	if err != nil {
		return opts, err
	}
	opts.Token = func(context.Context) (string, error) { return key.Sign(f.user, devTokenTTL, time.Now()) }
	return opts, nil
}

// checkTokenUser refuses a token of another user than the one named beside it. What cannot
// be read here is left to the server.
func (f *connectFlags) checkTokenUser() error {
	if user, ok := auth.Unverified(f.token); ok && f.user != "" && user != f.user {
		return usagef("--user is %q, but --token is for %q", f.user, user)
	}
	return nil
}

// newClient returns a client whose options can only be wrong because a flag is.
func newClient(opts client.Options) (*client.Client, error) {
	c, err := client.New(opts)
	if err != nil {
		return nil, &usageError{err.Error()}
	}
	return c, nil
}

// notice tells the person at the terminal why there is no connection. A redirect is no
// trouble.
func notice(w io.Writer, s client.State) {
	var moved *client.MovedError
	if s.Err != nil && !s.Final && !errors.As(s.Err, &moved) {
		fmt.Fprintf(w, "godwit: %s: %v; trying again in %v\n", s.URL, s.Err, s.RetryIn.Round(time.Millisecond))
	}
}
