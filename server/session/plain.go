package session

import (
	"net/http"

	"github.com/go-json-experiment/json"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec/ws"
)

// plainRequest answers the small requests of the public port.
func (s *Session) plainRequest(l *Loop, r *ws.Request) {
	switch {
	case string(r.Path) != PathRoute && string(r.Path) != PathHealth:
		s.respond(l, RefusedRequest, http.StatusNotFound, "there is nothing here; connect at "+PathConnect+"\n")
	case string(r.Method) != http.MethodGet:
		s.respond(l, RefusedRequest, http.StatusMethodNotAllowed, "only GET is understood here\n", [2]string{"Allow", "GET"})
	case string(r.Path) == PathHealth:
		s.respond(l, notRefused, http.StatusOK, "ok\n")
	default:
		s.route(l, r)
	}
}

// Route is the answer of PathRoute: which node serves a user.
type Route struct {
	User       string              `json:"user"`
	Partition  backplane.Partition `json:"partition"`
	Node       string              `json:"node"`
	URL        string              `json:"url"`
	MapVersion uint64              `json:"map_version"`
}

func (s *Session) route(l *Loop, r *ws.Request) {
	// Any page may ask: the route is no secret, and a browser client needs it.
	cors := [2]string{"Access-Control-Allow-Origin", "*"}
	user, _ := ws.Query(r.RawQuery, "user")
	if err := backplane.ValidUser(user); err != nil {
		s.respond(l, RefusedRequest, http.StatusBadRequest, "user: "+err.Error()+"\n", cors)
		return
	}
	place := l.deps.Placement.Load()
	route := Route{User: string(user), MapVersion: place.Version()}
	route.Partition, route.Node, route.URL = place.Lookup(route.User)
	if route.URL == "" {
		s.respond(l, RefusedNotReady, http.StatusServiceUnavailable, "the node does not know yet\n", cors, [2]string{"Retry-After", "1"})
		return
	}
	body, err := json.Marshal(route)
	if err != nil {
		s.respond(l, RefusedRequest, http.StatusInternalServerError, err.Error(), cors)
		return
	}
	s.respond(l, notRefused, http.StatusOK, string(body), cors, [2]string{"Content-Type", "application/json"})
}
