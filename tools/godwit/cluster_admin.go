package main

import (
	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/server/config"
)

// clusterFlags are the flags of the commands that ask about a cluster.
type clusterFlags struct {
	url, tokenFile string
	asJSON         bool
}

// clusterHelp is what their help has in common.
const clusterHelp = `It asks the admin port of any node of the cluster: --admin, and --admin-token-file where
the port asks for a token.`

func (f *clusterFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.url, "admin", "http://"+config.Default().Admin, "URL of the admin port of any node")
	flags.StringVar(&f.tokenFile, "admin-token-file", "", "file with the token of the admin port")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON")
}

// port returns what asks the admin port that the flags name.
func (f *clusterFlags) port() (*adminPort, error) { return newAdminPort(f.url, f.tokenFile) }
