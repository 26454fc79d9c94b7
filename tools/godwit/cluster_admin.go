package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

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
func (f *clusterFlags) port() (*clusterPort, error) {
	base, token, err := adminAddress(f.url, f.tokenFile)
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	return &clusterPort{
		url: base, token: token,
		// A redirect would take the token to somebody else.
		client: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// adminAddress checks what --admin and --admin-token-file say, and returns the URL without
// a path, and the token, which is empty without a file.
func adminAddress(text, tokenFile string) (base, token string, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" {
		return "", "", usagef("--admin is %q: must be like http://127.0.0.1:8081", text)
	}
	token, err = (&config.Config{AdminTokenFile: tokenFile}).AdminToken()
	return strings.TrimSuffix(text, "/"), token, err
}

// clusterPort asks the admin port of a node about its cluster. One goroutine uses it.
type clusterPort struct {
	url, token string
	client     *http.Client
}

// refusal is the error for an answer that is not a good one.
type refusal struct {
	url     string
	status  int
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (e *refusal) Error() string {
	text := fmt.Sprintf("%s: %s: %s", e.url, printable(e.Code), printable(e.Message))
	if hint, ok := hints[e.Code]; ok {
		text += "\n" + hint
	}
	return text
}

// open makes a request and returns a good answer, whose body the caller closes.
func (p *clusterPort) open(ctx context.Context, method, path string, query url.Values, body []byte) (*http.Response, error) {
	target := p.url + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		if dial := (*net.OpError)(nil); errors.As(err, &dial) && dial.Op == "dial" {
			return nil, fmt.Errorf("no node answers at %s: %w\nname the admin port of a node that runs with --admin", p.url, dial.Err)
		}
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	refused := &refusal{url: p.url, status: resp.StatusCode}
	switch {
	case json.Unmarshal(text, refused) == nil && refused.Code != "":
		return nil, refused
	case resp.StatusCode == http.StatusNotFound:
		return nil, fmt.Errorf("%s knows of no cluster: is it the admin port of a godwit node, with cluster.enabled set?", p.url)
	}
	return nil, fmt.Errorf("%s: %s: is it the admin port of a godwit node?", p.url, resp.Status)
}

// ask makes a request, and decodes the JSON of a good answer into answer. It returns that
// JSON as well.
func (p *clusterPort) ask(ctx context.Context, method, path string, query url.Values, body []byte, answer any) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	resp, err := p.open(ctx, method, path, query, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return nil, fmt.Errorf("the answer of %s cannot be read: %w", p.url, err)
	}
	return text, nil
}
