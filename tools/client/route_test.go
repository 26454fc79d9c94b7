package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

func seeds(urls ...string) func(*Options) {
	return func(o *Options) { o.URLs = urls }
}

// answerRoute answers the question for the route that p has asked.
func (p *peer) answerRoute(node string, version int) {
	p.t.Helper()
	if p.request.URL.Path != pathRoute || p.request.URL.Query().Get("user") != "alice" {
		p.t.Errorf("asked for %s", p.request.URL)
	}
	p.refuse(http.StatusOK, fmt.Sprintf(`{"user":"alice","partition":7,"node":%q,"url":"ws://%s:8080/v1/connect","map_version":%d}`, node, node, version))
}

// to says where a connection went: the host, the path's last part, and the map version.
func (p *peer) to() string {
	host, _, _ := net.SplitHostPort(p.address)
	path := p.request.URL.Path[strings.LastIndex(p.request.URL.Path, "/")+1:]
	return strings.TrimSpace(host + " " + path + " " + p.request.URL.Query().Get("map_version"))
}

func (p *peer) went(want string) *peer {
	p.t.Helper()
	if got := p.to(); got != want {
		p.t.Errorf("the client went to %s, want %s", got, want)
	}
	return p
}

// A client that has not been told its user's name yet goes from seed to seed.
func TestSeeds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		names := []string{"a", "b", "c"}
		u := start(t, n, seeds("ws://a", "ws://b", "ws://c"))
		var went []string
		for range 6 {
			p := n.accept()
			went = append(went, p.to()[:1])
			p.Close()
		}
		first := slices.Clone(went[:3])
		if slices.Sort(first); !slices.Equal(first, names) || !slices.Equal(went[:3], went[3:]) {
			t.Errorf("the client went to %q", went)
		}
		u.leave(n.welcome(codec.Welcome{}))
	})
}

// Each client begins at a seed of its own choice.
func TestSeedsAreShuffled(t *testing.T) {
	first := make(map[string]int)
	for range 300 {
		c, err := New(Options{URLs: []string{"ws://a", "ws://b", "ws://c"}, Token: StaticToken("t")})
		if err != nil {
			t.Fatal(err)
		}
		first[c.nodes.next().address()]++
	}
	for _, at := range []string{"a:80", "b:80", "c:80"} {
		if first[at] < 50 {
			t.Errorf("of 300 clients %v begin at each seed", first)
		}
	}
}

// A node that is down is left to itself: the others know who has taken its place.
func TestNodeDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, seeds("ws://seed"))
		n.accept().went("seed connect").refuse(http.StatusMisdirectedRequest, "", "Godwit-Node-Url: ws://a:8080", "Godwit-Map-Version: 7")
		p := n.welcome(codec.Welcome{MapVersion: 7})
		p.went("a connect 7")
		p.Close()
		// A lost connection may be the network's fault.
		p = n.accept().went("a connect 7")
		p.Close()
		n.accept().went("seed route").answerRoute("a", 7)
		p = n.accept().went("a connect 7")
		p.refuse(http.StatusServiceUnavailable, "not_ready: no", "Retry-After: 3")
		if s := u.lastEnd(); s.RetryIn < 3*time.Second {
			t.Errorf("after 503 the client waits %v", s.RetryIn)
		}
		n.accept().went("seed route").answerRoute("b", 8)
		p = n.welcome(codec.Welcome{MapVersion: 8})
		p.went("b connect 8")
		p.closeWith(codec.CloseRestart)
		// Now there are two others. One is silent, the other says who it is.
		q := n.accept()
		silent := q.to()
		q = n.accept()
		if two := []string{silent, q.to()}; !slices.Contains(two, "a route") || !slices.Contains(two, "seed route") {
			t.Errorf("the client asked %q", two)
		}
		q.answerRoute("c", 9)
		p = n.welcome(codec.Welcome{MapVersion: 9})
		p.went("c connect 9")
		u.leave(p)
		if errs := u.problems(); len(errs) > 0 {
			t.Errorf("told the errors %v", errs)
		}
	})
}

// Where no node answers, the client tries all that it knows, in turn.
func TestAllDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		var down atomic.Bool
		var atA, atB atomic.Int32 // how often the client went there then
		u := start(t, n, func(o *Options) {
			o.URLs = []string{"ws://a"}
			o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				if down.Load() {
					map[string]*atomic.Int32{"a:80": &atA, "b:8080": &atB}[address].Add(1)
					return nil, errors.New("connection refused")
				}
				return n.dial(ctx, network, address)
			}
		})
		n.accept().refuse(http.StatusMisdirectedRequest, "", "Godwit-Node-Url: ws://b:8080", "Godwit-Map-Version: 7")
		p := n.welcome(codec.Welcome{})
		synctest.Wait()
		down.Store(true)
		p.Close()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		// An attempt at b and a question to a, or the other way round: never one without the
		// other, and with long pauses.
		a, b := atA.Load(), atB.Load()
		if a+b < 20 || a+b > 200 || a-b > 2 || b-a > 2 {
			t.Errorf("in 10 minutes the client went to a %d times and to b %d times", a, b)
		}
		var route *RouteError
		errs := u.problems()
		if len(errs) == 0 || !errors.As(errs[0], &route) || len(route.Errs) != 1 || strings.Contains(route.Error(), "\n") {
			t.Errorf("told the errors %q", errs)
		}
		u.stop()
		<-u.ran
	})
}

// A client does not go back to what was true once.
func TestOlderMap(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, seeds("ws://a:8080", "ws://b:8080"))
		p := n.welcome(codec.Welcome{MapVersion: 9})
		first := p.to()[:1]
		other := map[string]string{"a": "b", "b": "a"}[first]
		p.closeWith(codec.CloseNotOwner)
		n.accept().went(other+" route").answerRoute("c", 8)
		// The first is asked last: it knows at least that it is not the owner.
		n.accept().went(first+" route").answerRoute("d", 10)
		n.accept().went("d connect 10").refuse(http.StatusMisdirectedRequest, "", "Godwit-Node-Url: ws://e:8080", "Godwit-Map-Version: 9")
		if s := u.lastEnd(); s.RetryIn == 0 {
			t.Error("the client goes on without a pause")
		}
		p = n.accept()
		if !strings.HasSuffix(p.to(), " route") || p.to()[:1] == "d" {
			t.Errorf("the client went to %s", p.to())
		}
		p.answerRoute("f", 10)
		p = n.welcome(codec.Welcome{})
		p.went("f connect 10")
		// So it is with a live connection.
		p.write(codec.AppendMoved(nil, p.enc, &codec.Moved{URL: "ws://g:8080", Node: "g", MapVersion: 9}))
		sent := u.send(t.Context(), hello("m1"))
		p.ack(p.readSend(), backplane.Stored, "")
		<-sent
		errs := u.problems()
		for _, err := range errs {
			if outdated := (*outdatedError)(nil); !errors.As(err, &outdated) {
				t.Errorf("told the error %v", err)
			}
		}
		if len(errs) != 2 {
			t.Errorf("told %d errors, want one for each redirect", len(errs))
		}
		u.leave(p)
	})
}

// If all answers are older, it is the newer map that is no more: somebody has made the
// cluster anew.
func TestMapMadeAnew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, seeds("ws://a:8080"))
		n.welcome(codec.Welcome{MapVersion: 100}).closeWith(codec.CloseNotOwner)
		asked := 0
		for {
			p := n.accept()
			if !strings.HasSuffix(p.to(), " route") {
				if p.address == "b:8080" {
					p.went("b connect 1").upgrade()
					p.welcome(codec.Welcome{MapVersion: 1})
					u.leave(p)
					break
				}
				p.refuse(http.StatusMisdirectedRequest, "", "Godwit-Node-Url: ws://b:8080", "Godwit-Map-Version: 1")
				asked++
				continue
			}
			asked++
			p.answerRoute("b", 1)
		}
		if asked != maxOlder+1 {
			t.Errorf("the client believed the answer number %d, want %d", asked, maxOlder+1)
		}
	})
}

// What the client knows of the cluster is bounded.
func TestNodesAreBounded(t *testing.T) {
	seed, err := parseEndpoint("ws://seed")
	if err != nil {
		t.Fatal(err)
	}
	n := newNodes([]endpoint{seed}, time.Second, time.Minute)
	for i := range 10 * maxKnown {
		to, err := n.follow(seed, &MovedError{URL: fmt.Sprintf("ws://n%d", i), MapVersion: uint64(i)})
		if err != nil {
			t.Fatal(err)
		}
		n.failed(to, false)
		if i%7 == 0 {
			n.failed(seed, false)
		}
	}
	if len(n.known) != maxKnown || len(n.failing) > maxKnown+1 || n.known[maxKnown-1].address() != fmt.Sprintf("n%d:80", 10*maxKnown-1) {
		t.Errorf("%d nodes are known, %d failing: %v", len(n.known), len(n.failing), n.known)
	}
	if others := n.others(seed); len(others) != maxAsked {
		t.Errorf("%d nodes would be asked", len(others))
	}
}

// While the others answer, a failed node is about to be replaced, so the pauses stay short.
// If it is not replaced for long, or nobody answers, they grow.
func TestPausesWhileOthersAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, _ := parseEndpoint("ws://a")
		longest := func(routed bool, after time.Duration) (d time.Duration) {
			n := newNodes([]endpoint{a}, time.Second, time.Minute)
			n.failed(a, routed)
			time.Sleep(after)
			for range 5 {
				n.failed(a, routed)
			}
			for range 1000 {
				d = max(d, n.failed(a, routed))
			}
			return d
		}
		for _, test := range []struct {
			routed bool
			after  time.Duration
			want   time.Duration
		}{
			{true, 0, routePause},
			{true, replaceTimeout - 1, routePause},
			{true, replaceTimeout, time.Minute},
			{false, 0, time.Minute},
		} {
			if d := longest(test.routed, test.after); d > test.want || d < test.want*9/10 {
				t.Errorf("%v after the first failure the longest pause is %v, want %v; others answer: %v", test.after, d, test.want, test.routed)
			}
		}
		n := newNodes([]endpoint{a}, 2*routePause, time.Minute)
		for range 1000 {
			n.failed(a, true)
		}
		if f := n.failing[a.String()]; f.bound != 2*routePause {
			t.Errorf("with a least bound of %v the pauses go up to %v", 2*routePause, f.bound)
		}
	})
}

// A client of a dead node asks the others often until they say who has taken its place, and
// rarely if they do not for long.
func TestNodeIsReplaced(t *testing.T) {
	for name, after := range map[string]time.Duration{"soon": replaceTimeout * 4 / 5, "late": 20 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNode(t)
				var down atomic.Bool
				u := start(t, n, func(o *Options) {
					o.URLs = []string{"ws://a:8080"}
					o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
						if down.Load() && address == "b:8080" {
							return nil, errors.New("connection refused")
						}
						return n.dial(ctx, network, address)
					}
				})
				n.accept().refuse(http.StatusMisdirectedRequest, "", "Godwit-Node-Url: ws://b:8080", "Godwit-Map-Version: 7")
				p := n.welcome(codec.Welcome{MapVersion: 7})
				synctest.Wait()
				down.Store(true)
				p.Close()
				began, last, asked := time.Now(), time.Now(), 0
				for time.Since(began) < after {
					n.accept().went("a route").answerRoute("b", 7)
					if d := time.Since(last); name == "soon" && d > routePause {
						t.Errorf("the client asked again after %v", d)
					}
					last = time.Now()
					asked++
				}
				n.accept().went("a route").answerRoute("c", 8)
				if name == "late" && (asked > 300 || asked < 20) {
					t.Errorf("the client asked %d times in %v", asked, after)
				}
				p = n.welcome(codec.Welcome{MapVersion: 8})
				p.went("c connect 8")
				u.leave(p)
			})
		})
	}
}

// That others once said where to go does not shorten the pauses of a client that is there,
// and is closed again and again.
func TestPausesAfterTheRoute(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, seeds("ws://a:8080"))
		n.accept().refuse(http.StatusMisdirectedRequest, "", "Godwit-Node-Url: ws://b:8080", "Godwit-Map-Version: 7")
		n.welcome(codec.Welcome{MapVersion: 7}).closeWith(codec.CloseRestart)
		n.accept().went("a route").answerRoute("b", 7)
		for range 4 {
			n.welcome(codec.Welcome{MapVersion: 7}).went("b connect 7").closeWith(codec.CloseRate)
		}
		p := n.welcome(codec.Welcome{MapVersion: 7})
		u.nodes.mu.Lock()
		bound := u.nodes.failing["ws://b:8080/v1/connect"].bound
		u.nodes.mu.Unlock()
		if bound != 16*defaultMinBackoff {
			t.Errorf("after 5 failures a pause lasts up to %v", bound)
		}
		u.leave(p)
	})
}

// A question that is given up leaves nothing behind.
func TestQuestionIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var dialling atomic.Int32
		c, err := New(Options{URLs: []string{"ws://a"}, Token: StaticToken("t"), Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			dialling.Add(1)
			defer dialling.Add(-1)
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		if err != nil {
			t.Fatal(err)
		}
		if d := took(func() { _, err = c.askRoute(t.Context(), c.nodes.next(), "alice") }); err == nil || d != routeTimeout {
			t.Errorf("the question ends after %v with %v", d, err)
		}
		synctest.Wait()
		if n := dialling.Load(); n != 0 {
			t.Errorf("%d dials go on", n)
		}
	})
}

// Each node has pauses of its own.
func TestPausesOfEachNode(t *testing.T) {
	a, _ := parseEndpoint("ws://a")
	b, _ := parseEndpoint("ws://b")
	n := newNodes([]endpoint{a, b}, time.Second, time.Hour)
	for range 12 {
		n.failed(a, false)
	}
	for range 20 {
		n.mu.Lock()
		delete(n.failing, b.String())
		n.mu.Unlock()
		if d := n.failed(b, false); d > time.Second {
			t.Errorf("after the first failure of one node the pause is %v", d)
		}
	}
	n.recovered()
	if d := n.failed(a, false); d > time.Second {
		t.Errorf("after a stable connection the pause is %v", d)
	}
}
