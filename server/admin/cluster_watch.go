package admin

import (
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/godwit-im/godwit/backplane"
)

// clusterWatch answers with a stream of ClusterEvents, each a line of JSON, that ends when
// the client goes or the node stops. The first one says how things stand; then come the
// latest decisions of this node, and what happens from then on. A client that reads slowly
// misses nothing but may get what happened in a row as one change.
func (s *Server) clusterWatch(w http.ResponseWriter, r *http.Request) {
	select {
	case s.watchers <- struct{}{}:
		defer func() { <-s.watchers }()
	default:
		refuseQuestion(w, &Refusal{Code: backplane.CodeOverloaded, Message: "too many watch at this port"})
		return
	}
	c := s.config.Cluster
	_, err := parameters(r.URL)
	// In this order, what changes meanwhile is told twice rather than never.
	changed := c.Changed()
	var told *clusterMoment
	if err == nil {
		told, _, err = momentOf(c, &clusterMoment{})
	}
	var status *ClusterStatus
	if err == nil {
		status, err = statusOfCluster(c)
	}
	if err != nil {
		refuseError(w, err)
		return
	}
	stream := clusterStream{w: w, control: http.NewResponseController(w)}
	stream.begin()
	if !stream.write([]ClusterEvent{{Type: EventStatus, MapVersion: status.MapVersion, Status: status}}) {
		return
	}
	alive := time.NewTicker(watchAlive)
	defer alive.Stop()
	for {
		select {
		case <-changed:
		case <-alive.C:
			if !stream.write([]ClusterEvent{{Type: EventAlive, MapVersion: told.snap.Version()}}) {
				return
			}
			continue
		case <-r.Context().Done():
			return
		case <-s.closing:
			return
		}
		changed = c.Changed()
		now, fresh, err := momentOf(c, told)
		if err != nil {
			return // the settings are gone: whoever asks again is told why
		}
		if !stream.write(eventsBetween(told, now, fresh)) {
			return
		}
		told = now
		select {
		case <-time.After(watchPause):
		case <-r.Context().Done():
			return
		case <-s.closing:
			return
		}
	}
}

// clusterStream writes the events of one request.
type clusterStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// begin sets the header of the answer.
func (c *clusterStream) begin() {
	h := c.w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
}

// write writes events as lines, and reports whether the client may have got them. They have
// a time limit of their own: the server's is for requests that end.
func (c *clusterStream) write(events []ClusterEvent) bool {
	if len(events) == 0 {
		return true
	}
	now := time.Now()
	var text []byte
	for i := range events {
		events[i].Time = now.UnixMilli()
		line, err := json.Marshal(&events[i])
		if err != nil {
			return false
		}
		text = append(append(text, line...), '\n')
	}
	if err := c.control.SetWriteDeadline(now.Add(watchWrite)); err != nil {
		return false
	}
	if _, err := c.w.Write(text); err != nil {
		return false
	}
	return c.control.Flush() == nil
}
