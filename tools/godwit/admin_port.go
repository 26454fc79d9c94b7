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
	"time"

	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/config"
)

const (
	// adminTimeout bounds a request to an admin port, which answers within half a minute.
	adminTimeout = time.Minute

	// maxAnswer bounds an answer: a page of the largest messages in JSON is smaller.
	maxAnswer = 4 << 20
)

// adminPort asks the admin port of a node. One goroutine uses it.
type adminPort struct {
	url, token string
	client     *http.Client
}

// newAdminPort returns what asks the port that --admin and --admin-token-file name; without
// a file there is no token.
func newAdminPort(text, tokenFile string) (*adminPort, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" {
		return nil, usagef("--admin is %q: must be like http://127.0.0.1:8081", text)
	}
	token, err := (&config.Config{AdminTokenFile: tokenFile}).AdminToken()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	return &adminPort{
		url: strings.TrimSuffix(text, "/"), token: token,
		// A redirect would take the token to somebody else.
		client: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// refusal is the error for an answer that is not a good one.
type refusal struct {
	url     string
	status  string
	owner   string // where clients of the user connect; empty unless the node is the wrong one
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (e *refusal) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("%s: %s: is it the admin port of a godwit node, with cluster.enabled set where it is asked about a cluster?", e.url, printable(e.status))
	}
	text := fmt.Sprintf("%s: %s: %s", e.url, printable(e.Code), printable(e.Message))
	if e.owner != "" {
		text += " (its clients connect to " + printable(e.owner) + ")"
	}
	if hint, ok := hints[e.Code]; ok {
		text += "\n" + hint
	}
	return text
}

// open makes a request and returns a good answer, whose body the caller closes.
func (p *adminPort) open(ctx context.Context, method, path string, query url.Values, body []byte) (*http.Response, error) {
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
	refused := &refusal{}
	if json.Unmarshal(text, refused) != nil {
		*refused = refusal{} // what a stranger says
	}
	refused.url, refused.status, refused.owner = p.url, resp.Status, resp.Header.Get(codec.HeaderNodeURL)
	return nil, refused
}

// ask makes a request and returns the JSON of a good answer, decoded into answer unless that
// is nil.
func (p *adminPort) ask(ctx context.Context, method, path string, query url.Values, body []byte, answer any) ([]byte, error) {
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
	if answer == nil {
		return text, nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return nil, fmt.Errorf("the answer of %s cannot be read: %w", p.url, err)
	}
	return text, nil
}
