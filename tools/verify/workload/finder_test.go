package workload

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
)

// routes is a node that answers by a route, or not at all.
func routes(t *testing.T, url string, version int) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if version == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"user": r.URL.Query().Get("user"), "partition": 3, "node": "n", "url": url, "map_version": version,
		})
	}))
	t.Cleanup(s.Close)
	return strings.Replace(s.URL, "http:", "ws:", 1) + "/v1/connect"
}

func newFinder(seed uint64, urls ...string) *finder {
	return &finder{load: &Load{tally: new(tally), o: Options{URLs: func() []string { return urls }}}, user: "alice", rand: people(2, seed).rand("pauses")}
}

// TestFinder walks through what protocol.md says of finding the node.
func TestFinder(t *testing.T) {
	ctx := t.Context()
	f := newFinder(1, "ws://a/", "ws://b/")
	seen := map[string]int{}
	for range 100 {
		seen[f.next(ctx).url]++
	}
	if seen["ws://a/"] < 20 || seen["ws://b/"] < 20 || len(seen) != 2 {
		t.Errorf("it begins at %v", seen)
	}

	// A redirect is followed with the version of its map, unless that is older than one that
	// is known; but when many in a row are, that one is no more.
	if !f.follow("ws://a/", "ws://c/", 7) || f.next(ctx) != (place{"ws://c/", 7}) {
		t.Error("a redirect is not followed")
	}
	f.welcomed(8)
	f.lasted()
	for range maxOlder {
		if f.believes("ws://a/", "ws://d/", 7) {
			t.Fatal("a redirect of an older map is followed")
		}
	}
	if !f.believes("ws://a/", "ws://d/", 7) || f.version != 7 {
		t.Error("the older map is never believed")
	}

	// Redirects come to an end.
	for range maxRedirects {
		if !f.follow("ws://a/", "ws://c/", 9) {
			t.Fatal("few redirects are too many")
		}
	}
	if f.follow("ws://a/", "ws://c/", 9) || !f.ask {
		t.Error("redirects are followed for ever")
	}
	if f.follow("wss://a/", "ws://c/", 9) {
		t.Error("the token goes from wss to ws")
	}

	// The pauses grow, and end.
	f.lasted()
	longest := time.Duration(0)
	for i := range 50 {
		pause := f.pause()
		if longest = max(longest, pause); i == 0 && pause > minPause {
			t.Errorf("the first pause is %v", pause)
		}
	}
	if longest < maxPause/2 || longest > maxPause {
		t.Errorf("the longest pause is %v", longest)
	}
}

// TestFinderAsks has it ask the other nodes, of which one does not know and one is behind.
func TestFinderAsks(t *testing.T) {
	const there = "ws://c/v1/connect"
	gone, behind, knows := routes(t, "", 0), routes(t, "ws://b/v1/connect", 3), routes(t, there, 4)
	wrong := routes(t, "ws://wrong/v1/connect", 5)
	for seed := range uint64(10) {
		f := newFinder(seed, gone, behind, knows, wrong)
		f.welcomed(4)
		f.elsewhere(wrong)
		if at := f.next(t.Context()); at != (place{there, 4}) {
			t.Errorf("it goes to %+v", at)
		}
		if !slices.Contains(f.urls(), there) {
			t.Error("it forgets what it has heard of")
		}
	}
	f := newFinder(1, gone, routes(t, "nowhere", 5))
	var said []event.Event
	f.load.o.Write = func(_ string, e event.Event) { said = append(said, e) }
	if f.elsewhere(gone); f.next(t.Context()) == (place{}) || len(said) != 1 || said[0].Type() != "violation" {
		t.Errorf("of a route that leads nowhere it says %v", said)
	}
	f = newFinder(1, gone)
	f.elsewhere(gone)
	if at := f.next(t.Context()); at != (place{gone, 0}) {
		t.Errorf("with one node it goes to %+v", at)
	}
	if at := newFinder(1).next(t.Context()); at != (place{}) {
		t.Errorf("without any it goes to %+v", at)
	}
	for range 2 * learned {
		f.believes(gone, routes(t, there, 9), 9)
	}
	if len(f.known) > learned {
		t.Errorf("it knows %d nodes", len(f.known))
	}
}
