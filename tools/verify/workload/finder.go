package workload

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/godwit-im/godwit/tools/verify/wire"
)

// finder finds the node that serves a user, by the rules of docs/protocol.md ("Finding the
// node"). One goroutine owns it.
type finder struct {
	// Static.
	load *Load
	user string
	rand *rand.Rand

	to        place // where to go next; none if it has no url
	ask       bool  // ask for the route first
	avoid     string
	known     []string // nodes that were heard of, the latest last
	version   uint64   // the highest of the map
	older     int      // answers in a row by older maps
	redirects int      // in a row
	bound     time.Duration
}

// place is where a node takes connections.
type place struct {
	url     string
	version uint64 // of the map that led there; 0 if none did
}

// next returns where to connect.
func (f *finder) next(ctx context.Context) place {
	if f.ask {
		f.ask = false
		if to, ok := f.route(ctx, f.avoid); ok {
			f.to = to
		}
	}
	to := f.to
	if urls := f.urls(); to.url == "" && len(urls) > 0 {
		to.url = urls[f.rand.IntN(len(urls))]
	}
	f.to = place{}
	return to
}

// urls returns all nodes that are known.
func (f *finder) urls() []string {
	urls := f.load.o.URLs()
	for _, u := range f.known {
		if !slices.Contains(urls, u) {
			urls = append(urls[:len(urls):len(urls)], u)
		}
	}
	return urls
}

// route asks the nodes but one for the route, one after the other, and returns the first
// answer that can be followed.
func (f *finder) route(ctx context.Context, but string) (place, bool) {
	urls := f.urls()
	f.rand.Shuffle(len(urls), func(i, j int) { urls[i], urls[j] = urls[j], urls[i] })
	for _, u := range urls {
		if u == but && len(urls) > 1 {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, routeTimeout)
		r, err := wire.AskRoute(asking, u, f.user, f.load.o.TLS)
		cancel()
		if broken := (*wire.Violation)(nil); errors.As(err, &broken) {
			f.load.write(f.user, wire.FrameEvent(0, broken))
		}
		if err == nil && f.believes(u, r.URL, r.MapVersion) {
			return place{r.URL, r.MapVersion}, true
		}
	}
	return place{}, false
}

// believes reports whether to go where a node directs by a version of the map, and remembers
// both.
func (f *finder) believes(from, url string, version uint64) bool {
	if strings.HasPrefix(from, "wss:") && !strings.HasPrefix(url, "wss:") {
		return false
	}
	if version < f.version {
		if f.older++; f.older <= maxOlder {
			return false
		}
		f.version = version
	}
	f.older, f.version = 0, max(f.version, version)
	f.known = append(slices.DeleteFunc(f.known, func(u string) bool { return u == url }), url)
	if len(f.known) > learned {
		f.known = f.known[1:]
	}
	return true
}

// follow goes where a node directs next, if that can be believed, and asks others for the route
// if it cannot. It reports whether there is no reason for a pause.
func (f *finder) follow(from, url string, version uint64) bool {
	f.redirects++
	if f.redirects <= maxRedirects && f.believes(from, url, version) {
		f.to = place{url, version}
		return true
	}
	f.redirects = 0
	f.ask, f.avoid = true, from
	return false
}

// again connects to the same node next.
func (f *finder) again(at place) { f.to = at }

// elsewhere asks the other nodes for the route next.
func (f *finder) elsewhere(from string) { f.ask, f.avoid = true, from }

// welcomed notes the version of the map by which a node serves the user.
func (f *finder) welcomed(version uint64) { f.version = max(f.version, version) }

// lasted notes that a connection was stable.
func (f *finder) lasted() { f.redirects, f.bound = 0, 0 }

// pause returns how long to wait after a failure: a random time below a bound that doubles.
func (f *finder) pause() time.Duration {
	f.bound = min(max(2*f.bound, minPause), maxPause)
	return upTo(f.rand, f.bound)
}
