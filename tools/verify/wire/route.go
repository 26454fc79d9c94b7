package wire

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// Route is which node serves a user, as some node knows it.
type Route struct {
	User       string
	Partition  uint64
	Node       string
	URL        string // to connect to
	MapVersion uint64
}

// AskRoute asks the node that socketURL leads to, by its URL of /v1/connect, which one
// serves a user. An error is a *Refusal if the node gave none, a *Violation if what it
// gave is not one, or of the network. config is for URLs with wss, as in Options.
func AskRoute(ctx context.Context, socketURL, user string, config *tls.Config) (*Route, error) {
	u, err := url.Parse(socketURL)
	if err != nil {
		return nil, fmt.Errorf("wire: %w", err)
	}
	switch u.Scheme {
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	default:
		return nil, fmt.Errorf("wire: the URL %q is neither ws nor wss", socketURL)
	}
	u.Path, u.RawQuery = "/v1/route", url.Values{"user": {user}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("wire: %w", err)
	}
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: config, MaxResponseHeaderBytes: maxHead}
	resp, err := transport.RoundTrip(req) // which follows no redirects
	if err != nil {
		return nil, fmt.Errorf("wire: asking for a route: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxHead))
	if err != nil {
		return nil, fmt.Errorf("wire: asking for a route: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &Refusal{Status: resp.StatusCode, Sentence: strconv.Quote(string(body))}
	}
	return parseRoute(body, user)
}

// parseRoute takes the answer for a user apart.
func parseRoute(body []byte, user string) (*Route, error) {
	var found findings
	members, _ := jsonObject("a route", body, &found)
	o := &jsonFields{where: "a route", found: &found, members: members}
	r := &Route{
		User:       o.text("user", 0),
		Partition:  o.number("partition", 0),
		Node:       o.text("node", 0),
		URL:        o.text("url", 0),
		MapVersion: o.number("map_version", 0),
	}
	o.end()
	if r.User != user || r.Node == "" || !isSocketURL(r.URL) || r.MapVersion == 0 {
		found.add(RuleField, "a route of %q that leads nowhere: %+v", user, *r)
	}
	if len(found) > 0 {
		return nil, found[0]
	}
	return r, nil
}
