package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/godwit-im/godwit/backplane/cluster"
)

// Propose appends a request, whose ID is set, and waits until the controller has answered
// it. That the controller refuses is no error but told by the Result. After an error the
// outcome is not known. Any goroutine may call it.
func (a *Agent) Propose(ctx context.Context, r cluster.Request) (cluster.Result, error) {
	if err := a.records.Append(ctx, cluster.Put(r).Record()); err != nil {
		return cluster.Result{}, err
	}
	for {
		c, ok, changed := a.view.Get(cluster.ResultKey(r.ID))
		if result, isResult := c.Body.(cluster.Result); ok && isResult {
			return result, nil
		}
		select {
		case <-changed:
		case <-a.records.Alarm():
			return cluster.Result{}, a.records.Err()
		case <-a.ctx.Done():
			return cluster.Result{}, errStopped
		case <-ctx.Done():
			return cluster.Result{}, fmt.Errorf("agent: the controller has not answered: %w", ctx.Err())
		}
	}
}

var errStopped = errors.New("agent: the node is stopping")

// own returns a request of the node itself.
func (a *Agent) own(kind cluster.Kind) cluster.Request {
	return cluster.Request{ID: rand.Text(), Kind: kind, Node: a.cfg.Node, By: "node " + a.cfg.Node, At: time.Now().UnixMilli()}
}

// join has the node be in the cluster, until it leaves or the agent closes. It asks again
// after a pause: the controller may be of an older version, to which an end means nothing,
// and let the node in as what it is.
func (a *Agent) join(ctx context.Context) {
	for a.enter(ctx) && a.ousted(ctx) && pause(ctx, joinPause) {
		a.log.Warn("agent: the cluster takes this node for one that has ended; it joins again")
	}
}

// ousted waits until the records say that the node has ended. They may be right about the
// process before this one, of whose end the controller has heard before it heard this one's
// first beat. It returns false if ctx ends.
func (a *Agent) ousted(ctx context.Context) bool {
	for {
		c, ok, changed := a.view.Get(cluster.NodeKey(a.cfg.Node))
		if n, isNode := c.Body.(cluster.Node); ok && isNode && n.Reason == cluster.ReasonEnded && n.State != a.cfg.Role {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// enter asks to be let in until the controller answers, and reports whether the node is in.
func (a *Agent) enter(ctx context.Context) bool {
	for {
		r := a.own(cluster.KindJoin)
		r.URL, r.Admin, r.Capacity, r.Weight, r.Role = a.cfg.URL, a.cfg.Admin, a.cfg.Capacity, &a.cfg.Weight, a.cfg.Role
		attempt, cancel := context.WithTimeout(ctx, joinTimeout)
		result, err := a.Propose(attempt, r)
		cancel()
		switch {
		case err == nil && (result.OK || result.Reason == cluster.CodeUnchanged):
			a.log.Info("agent: the node is in the cluster")
			return a.report(func() { a.joined = true })
		case err == nil && result.Reason != cluster.CodeNotReady && result.Reason != cluster.CodeExpired:
			a.fail(fmt.Errorf("agent: the cluster does not let the node in: %s", result.Message))
			return false
		case err == nil:
			err = errors.New(result.Message)
		}
		if ctx.Err() != nil {
			return false
		}
		a.log.Warn("agent: the node is not in the cluster yet", "err", err)
		if !pause(ctx, joinPause) {
			return false
		}
	}
}

// Leave hands the node's partitions over to others, and returns when no client and no
// partition is left here, or with the error of ctx. The node serves on meanwhile. That
// there is nobody to hand over to is no error.
func (a *Agent) Leave(ctx context.Context) error {
	// A request to join that came after the one to leave would undo it.
	a.joining()
	<-a.joinEnded
	result, err := a.Propose(ctx, a.own(cluster.KindLeave))
	switch {
	case err != nil:
		return err
	case !result.OK && result.Reason != cluster.CodeUnchanged:
		a.log.Warn("agent: the node's partitions are not handed over", "reason", result.Message)
		return nil
	}
	for {
		changed := a.view.Changed("")
		if n, ok := a.view.Snapshot().Node(a.cfg.Node); !ok || n.State == cluster.Left {
			return nil
		}
		select {
		case <-changed:
		case <-a.records.Alarm():
			return a.records.Err()
		case <-ctx.Done():
			return fmt.Errorf("agent: partitions are still to be handed over: %w", ctx.Err())
		case <-a.ctx.Done():
			return errStopped
		}
	}
}
