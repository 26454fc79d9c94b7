package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// route asks nodes, one after the other, who serves a user, and returns the first answer
// that can be followed.
func (c *Client) route(ctx context.Context, nodes []endpoint, user string) (endpoint, error) {
	var failed RouteError
	for _, e := range nodes {
		moved, err := c.askRoute(ctx, e, user)
		if err == nil {
			var to endpoint
			if to, err = c.nodes.follow(e, moved); err == nil {
				return to, nil
			}
		}
		failed.Errs = append(failed.Errs, err)
	}
	return endpoint{}, &failed
}

// askRoute asks the node at e who serves a user.
func (c *Client) askRoute(ctx context.Context, e endpoint, user string) (*MovedError, error) {
	ctx, cancel := context.WithTimeout(ctx, routeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, e.routeURL(user), nil)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DialContext:            c.opts.Dial,
		TLSClientConfig:        c.opts.TLS.Clone(),
		DisableKeepAlives:      true, // one question, and no connection left behind
		MaxResponseHeaderBytes: maxRoute,
	}
	// The transport goes on to dial when the question is given up, unless it is told not to:
	// to a machine that is gone, for minutes.
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("client: the route is refused with status %d", response.StatusCode)
	}
	var answer struct {
		Node       string `json:"node"`
		URL        string `json:"url"`
		MapVersion uint64 `json:"map_version"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxRoute)).Decode(&answer); err != nil {
		return nil, fmt.Errorf("client: the route cannot be read: %w", err)
	}
	return &MovedError{URL: answer.URL, Node: answer.Node, MapVersion: answer.MapVersion}, nil
}
