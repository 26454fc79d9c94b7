package client

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// nodes is what the client knows of the cluster: where nodes take connections, which of
// them have failed of late, and the version of the newest map that it has heard of. Any
// goroutine may use it.
type nodes struct {
	// Static.
	seeds      []endpoint // of the options, in random order
	minBackoff time.Duration
	maxBackoff time.Duration

	// Guarded by mu.
	mu      sync.Mutex
	known   []endpoint          // where routes and redirects have led, the latest last, no seed among them
	failing map[string]*failure // by the endpoint's text
	version uint64              // of the newest map
	older   int                 // answers in a row by maps older than that
}

// failure is a node with which something went wrong, since the last stable connection.
type failure struct {
	backoff
	first, last time.Time
}

// outdatedError says that a node directs by a map that is older than one already known.
type outdatedError struct {
	url         string
	told, known uint64
}

func (e *outdatedError) Error() string {
	return fmt.Sprintf("client: a node directs to %q by version %d of the map, which is older than %d", e.url, e.told, e.known)
}

func newNodes(seeds []endpoint, minBackoff, maxBackoff time.Duration) *nodes {
	rand.Shuffle(len(seeds), func(i, j int) { seeds[i], seeds[j] = seeds[j], seeds[i] })
	return &nodes{seeds: seeds, minBackoff: minBackoff, maxBackoff: maxBackoff, failing: make(map[string]*failure)}
}

// follow returns where the node at from directs to, and remembers it. It refuses to leave
// TLS, and to go back to an older map. But if many answers in a row are older, it is the
// newer map that is no more, and the client believes them.
func (n *nodes) follow(from endpoint, moved *MovedError) (endpoint, error) {
	to, err := from.follow(moved)
	if err != nil {
		return endpoint{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if v := moved.MapVersion; v > 0 && v < n.version {
		if n.older++; n.older <= maxOlder {
			return endpoint{}, &outdatedError{moved.URL, v, n.version}
		}
		n.version = v
	}
	n.older = 0
	n.version = max(n.version, moved.MapVersion)
	n.remember(to)
	return to, nil
}

// remember keeps the latest maxKnown endpoints. mu is held.
func (n *nodes) remember(e endpoint) {
	if slices.ContainsFunc(n.seeds, e.same) {
		return
	}
	n.known = append(slices.DeleteFunc(n.known, e.same), e)
	if len(n.known) > maxKnown {
		delete(n.failing, n.known[0].String())
		n.known = slices.Delete(n.known, 0, 1)
	}
}

// serves notes the version of the map by which a node has welcomed the client.
func (n *nodes) serves(version uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.version = max(n.version, version)
}

// failed notes that something went wrong with the node at e and returns how long to leave
// it alone. routed says that other nodes answer: then that is not long at first, because they
// are about to decide who takes its place.
func (n *nodes) failed(e endpoint, routed bool) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	f := n.failing[e.String()]
	if f == nil {
		f = &failure{backoff: backoff{min: n.minBackoff}, first: now}
		n.failing[e.String()] = f
	}
	f.last = now
	f.max = n.maxBackoff
	if routed && now.Sub(f.first) < replaceTimeout {
		f.max = min(n.maxBackoff, max(n.minBackoff, routePause))
	}
	return f.next()
}

// untried reports whether there is a node other than that at e which has not failed.
func (n *nodes) untried(e endpoint) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.ContainsFunc(n.all(), func(other endpoint) bool {
		return !other.same(e) && n.failing[other.String()] == nil
	})
}

// recovered forgets all failures: a connection was stable.
func (n *nodes) recovered() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.failing)
}

// others returns some nodes other than that at e, to ask for the route: in random order,
// those last that have failed.
func (n *nodes) others(e endpoint) []endpoint {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := slices.DeleteFunc(n.all(), e.same)
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	slices.SortStableFunc(all, n.compare)
	return all[:min(len(all), maxAsked)]
}

// next returns the node to try when nobody says which one it is: that which has not failed
// for the longest time, seeds before others.
func (n *nodes) next() endpoint {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.MinFunc(n.all(), n.compare)
}

// all returns the endpoints, the seeds first. mu is held.
func (n *nodes) all() []endpoint { return slices.Concat(n.seeds, n.known) }

// compare orders endpoints by the time of their last failure. mu is held.
func (n *nodes) compare(a, b endpoint) int {
	var times [2]int64
	for i, e := range []endpoint{a, b} {
		if f := n.failing[e.String()]; f != nil {
			times[i] = f.last.UnixNano()
		}
	}
	return cmp.Compare(times[0], times[1])
}
