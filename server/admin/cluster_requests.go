package admin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/beats"
	"github.com/godwit-im/godwit/codec"
)

// ClusterAnswer is the answer of POST /v1/cluster/requests to what is not refused.
type ClusterAnswer struct {
	DryRun bool `json:"dry_run"`
	// Request is the id of the request in the log; of a dry run there is none.
	Request string `json:"request,omitzero"`
	// Reason is "unchanged" if everything is as asked already, and Message the same in a
	// sentence; else both are empty.
	Reason  cluster.Code `json:"reason,omitzero"`
	Message string       `json:"message,omitzero"`
	// MapVersion is that of the decision, or of the map that a dry run was judged by.
	MapVersion uint64 `json:"map_version"`
	// Plan is what follows, as far as this node could tell when it was asked.
	Plan cluster.Plan `json:"plan"`
}

// operatorKinds are the requests that operators make; nodes make the others for themselves.
var operatorKinds = []cluster.Kind{
	cluster.KindDrain, cluster.KindAdd, cluster.KindStandby, cluster.KindRemove, cluster.KindMove,
	cluster.KindWeight, cluster.KindRebalance, cluster.KindSettings,
}

// status answers with a ClusterStatus.
func (s *Server) clusterStatus(w http.ResponseWriter, r *http.Request) {
	status, err := statusOfCluster(s.config.Cluster)
	if err == nil {
		_, err = parameters(r.URL)
	}
	if err != nil {
		refuseError(w, err)
		return
	}
	answerJSON(w, status)
}

// clusterRequests takes a request to the controller. Its body is the record of a request,
// such as
//
//	{"kind":"drain","node":"n1","by":"ops@example.org"}
//	{"kind":"move","partitions":"0-15,20","to":"n2"}
//	{"kind":"settings","live":{"moves_in_flight":64}}
//
// without the time, which this node adds, as it does its name where "by" is missing. The
// answer is a ClusterAnswer. With the parameter dry_run=1 nothing is asked of the
// controller; the answer says what would be changed. What is refused is answered with an
// error frame. The HTTP status says what to do:
//
//	200    done, or nothing had to be done
//	400    it is no request that anybody could accept
//	404    there is no such node
//	409    refused as things are now
//	503    nothing was asked; the message tells why. Retry after a pause
//	504    not known: the controller may still do it. To ask again does no harm
func (s *Server) clusterRequests(w http.ResponseWriter, r *http.Request) {
	select {
	case s.proposals <- struct{}{}:
		defer func() { <-s.proposals }()
	default:
		refuseQuestion(w, &Refusal{Code: backplane.CodeOverloaded, Message: "too many requests to the controller wait at this port"})
		return
	}
	answer, err := s.propose(w, r)
	var judged *cluster.Refusal
	switch {
	case errors.As(err, &judged):
		if judged.Code == cluster.CodeNotReady {
			w.Header().Set("Retry-After", retryAfter)
		}
		refuse(w, statusOfJudgement(judged.Code), backplane.Code(judged.Code), judged.Message)
	case err != nil:
		refuseError(w, err)
	default:
		answerJSON(w, answer)
	}
}

// propose reads a request and has it judged. The error is a *cluster.Refusal for what is
// refused by the rules of clusters, and a *Refusal for all else.
func (s *Server) propose(w http.ResponseWriter, r *http.Request) (*ClusterAnswer, error) {
	values, err := parameters(r.URL, "dry_run")
	if err != nil {
		return nil, err
	}
	dry := values["dry_run"]
	if dry != "" && dry != "0" && dry != "1" {
		return nil, badParameter("dry_run: 0 or 1")
	}
	request, err := readRequest(w, r)
	if err != nil {
		return nil, err
	}
	c := s.config.Cluster
	if request.By == "" {
		request.By = "the admin port of " + c.Node()
	}
	request.At = time.Now().UnixMilli()
	snap, err := snapshotOf(c)
	if err != nil {
		return nil, err
	}
	if alarm := c.Alarm(); alarm != nil {
		return nil, &Refusal{Code: codec.CodeNotReady, Message: "this node asks nothing of the controller any more, and nothing has changed: " + alarm.Error()}
	}
	answer := &ClusterAnswer{DryRun: dry == "1", MapVersion: snap.Version()}
	answer.Plan, err = cluster.PlanRequest(snap, request, judgedAt(c.Beats()))
	if answer.DryRun {
		if len(answer.Plan.Changes)+len(answer.Plan.Moves) == 0 {
			answer.Reason, answer.Message = cluster.CodeUnchanged, cluster.Codes[cluster.CodeUnchanged]
		}
		return answer, err
	}
	// The controller judges by what it knows, which may be newer: so it is asked whatever
	// was found here.
	request.ID = strings.ToLower(rand.Text())
	ctx, cancel := context.WithTimeout(r.Context(), proposeTimeout)
	defer cancel()
	result, err := c.Propose(ctx, request)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, &Refusal{Code: backplane.CodeTimeout, Unknown: true,
			Message: fmt.Sprintf("no controller has answered in %v; one may still do it. Is there a controller, and does Kafka work?", proposeTimeout)}
	case err != nil:
		return nil, &Refusal{Code: codec.CodeNotReady, Unknown: true, Message: err.Error()}
	case !result.OK:
		return nil, &cluster.Refusal{Code: result.Reason, Message: result.Message}
	}
	answer.Request, answer.MapVersion = request.ID, result.Version
	answer.Reason, answer.Message = result.Reason, result.Message
	return answer, nil
}

// judgedAt returns the moment of the latest beat.
func judgedAt(seen []beats.Seen) cluster.Moment {
	m := cluster.Moment{Suspected: make(map[string]bool)}
	for _, s := range seen {
		m.Now = max(m.Now, s.Time)
		if s.Suspected {
			m.Suspected[s.Node] = true
		}
	}
	return m
}

// readRequest reads the body of a request. The error is a *Refusal.
func readRequest(w http.ResponseWriter, r *http.Request) (request cluster.Request, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, cluster.MaxRecord))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return request, &Refusal{Code: codec.CodeFrameTooLarge, Message: "the body is larger than any valid request"}
	}
	if err != nil {
		return request, &Refusal{Code: codec.CodeBadFrame, Message: "the body of the request did not come whole"}
	}
	if err := json.Unmarshal(body, &request, json.RejectUnknownMembers(true)); err != nil {
		return request, &Refusal{Code: codec.CodeBadFrame, Message: "the body is no request to the controller: " + err.Error()}
	}
	switch {
	case !slices.Contains(operatorKinds, request.Kind):
		return request, badParameter(fmt.Sprintf("kind: one of %v", operatorKinds))
	case request.At != 0:
		return request, badParameter("at: the time is added here")
	}
	return request, nil
}

// statusOfJudgement returns the HTTP status of a refusal.
func statusOfJudgement(code cluster.Code) int {
	switch code {
	case cluster.CodeUnknownNode:
		return http.StatusNotFound
	case cluster.CodeNotReady:
		return http.StatusServiceUnavailable
	case cluster.CodeUnknownKind, cluster.CodeBadID, cluster.CodeBadWeight, cluster.CodeBadText,
		cluster.CodeBadPartitions, cluster.CodeBadSettings:
		return http.StatusBadRequest
	}
	return http.StatusConflict
}
