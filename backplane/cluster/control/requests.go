package control

import (
	"fmt"
	"math"
	"slices"

	"github.com/godwit-im/godwit/backplane/cluster"
)

// sweepAfter is how much longer than cluster.ResultLife a result may stay, in
// milliseconds, so that many go in one decision.
const sweepAfter = 60_000

// welcome judges the first request that has no result if it is one to join. It comes
// before partitions are given to those who are there.
func (d *step) welcome() bool {
	pending := d.pending()
	return len(pending) > 0 && pending[0].Body.(cluster.Request).Kind == cluster.KindJoin && d.answer()
}

// answer judges the first request that has no result.
func (d *step) answer() bool {
	pending := d.pending()
	if len(pending) == 0 {
		return false
	}
	change := pending[0]
	r := change.Body.(cluster.Request)
	d.from("request", "%s", r.ID)
	d.from("by", "%.80s", r.By)
	if d.expired(r, change.Time) {
		d.put(cluster.Put(cluster.Result{
			ID: r.ID, Reason: cluster.CodeExpired, Message: cluster.Codes[cluster.CodeExpired], At: d.m.Now,
		}))
		d.kind = KindRefuse
		d.say("The %s waited for a controller for too long.", describe(r))
		return true
	}
	changes, err := cluster.Judge(d.s, r, d.m)
	result := cluster.ResultOf(r.ID, changes, err, d.m.Now)
	d.put(changes...)
	if err == nil && (r.Kind == cluster.KindRebalance || slices.ContainsFunc(changes, d.shifts)) && d.askBalance() {
		result.Reason, result.Message = "", ""
	}
	d.put(cluster.Put(result))
	switch {
	case err != nil:
		d.kind = KindRefuse
		d.say("The %s is refused: %s", describe(r), result.Message)
	case result.Reason == cluster.CodeUnchanged:
		d.kind = KindGrant
		d.say("The %s changes nothing.", describe(r))
	default:
		d.kind = KindGrant
		d.say("The %s is granted.", describe(r))
	}
	return true
}

// expired reports whether a request came too long ago, by its log time. To drain a node
// today because somebody wanted that yesterday is worse than to do nothing; but a node that
// beats still wants to join.
func (d *step) expired(r cluster.Request, logTime int64) bool {
	if r.Kind == cluster.KindJoin && d.watch.Heard(r.Node) {
		return false
	}
	return logTime > 0 && d.m.Now-logTime > cluster.ResultLife
}

// shifts reports whether a change of a record changes the shares of the nodes.
func (d *step) shifts(change cluster.Change) bool {
	n, ok := change.Body.(cluster.Node)
	if !ok {
		return false
	}
	before, known := d.before.Node(n.ID)
	return !known || before.State != n.State || before.Weight != n.Weight
}

// describe names a request for people.
func describe(r cluster.Request) string {
	switch r.Kind {
	case cluster.KindMove:
		return fmt.Sprintf("move of %s to %s", count(r.Partitions), name(r.To))
	case cluster.KindRebalance:
		return "rebalance"
	case cluster.KindSettings:
		return "change of settings"
	case cluster.KindWeight:
		if r.Weight != nil {
			return fmt.Sprintf("weight %d of %s", *r.Weight, name(r.Node))
		}
	}
	return fmt.Sprintf("%s of %s", name(string(r.Kind)), name(r.Node))
}

// name writes what somebody gave as the name of something: quoted if it can be none, so
// that nothing in it reaches a terminal.
func name(text string) string {
	if cluster.ValidID(text) {
		return text
	}
	return fmt.Sprintf("%.80q", text)
}

// nextSweep returns the log time at which forget has something to do.
func (c *Core) nextSweep() int64 {
	next := int64(math.MaxInt64)
	for _, result := range c.results {
		next = min(next, result.At+cluster.ResultLife+sweepAfter)
	}
	return next
}

// forget deletes results that are older than anybody waits, and their requests.
func (d *step) forget() bool {
	if d.m.Now < d.nextSweep() {
		return false
	}
	var old []string
	for id, result := range d.results {
		if d.m.Now-result.At >= cluster.ResultLife {
			old = append(old, id)
		}
	}
	slices.Sort(old)
	var changes []cluster.Change
	for _, id := range old {
		if _, ok := d.requests[id]; ok {
			changes = append(changes, cluster.Delete(cluster.RequestKey(id)))
		}
		changes = append(changes, cluster.Delete(cluster.ResultKey(id)))
	}
	d.put(changes...)
	d.kind = KindForget
	d.say("%d requests and their results are older than ten minutes and go.", len(old))
	return true
}
