package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/tools/client"
)

// crowd are users of a cluster who write to each other, at random, as long as the test
// wants them to: with tools/client, as programs do, which finds their nodes by itself.
type crowd struct {
	t       testing.TB
	people  []*person
	quit    chan struct{} // closed when nobody is to begin another send
	sending sync.WaitGroup
}

// person is one of them.
type person struct {
	name   string
	client *client.Client

	mu   sync.Mutex
	at   string                       // guarded by mu: the URL of the node; empty while there is none
	sent []sent                       // guarded by mu: by number; the first has the number 1
	got  map[string][]int             // guarded by mu: the numbers of what came, by sender, in this order
	told map[backplane.Code]int       // guarded by mu: how often the server said what
	ends map[codec.CloseCode]int      // guarded by mu: how often a connection ended how
	seen map[backplane.MessageID]bool // guarded by mu
	bad  []string                     // guarded by mu: what must not happen
}

// sent is a message on its way.
type sent struct {
	to     []string
	began  time.Time
	stored bool
	end    time.Time // when the outcome was known; zero while it is not
	why    error     // nil if stored
}

// pace is how long a person waits between two sends, on average.
const pace = 250 * time.Millisecond

// newCrowd connects so many users and has them write to each other.
func newCrowd(t testing.TB, c *nodes, size int) *crowd {
	t.Helper()
	w := &crowd{t: t, quit: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for i := range size {
		p := &person{
			name: fmt.Sprint("user-", i), got: make(map[string][]int), told: make(map[backplane.Code]int),
			ends: make(map[codec.CloseCode]int), seen: make(map[backplane.MessageID]bool),
		}
		var err error
		p.client, err = client.New(client.Options{
			URLs: c.urls(), Token: client.StaticToken(c.key.token(t, p.name, tokenTTL)), Device: "phone", JSON: i%2 == 0,
			MaxBackoff: 4 * time.Second, DegradedSpread: 2 * time.Second,
			OnMessage: p.message, OnState: p.state, OnError: p.error,
			OnGone: func(g client.Gone) { p.wrong("%+v is gone", g) },
			OnGap:  func(g client.Gap) { p.wrong("there is a gap: %+v", g) },
		})
		if err != nil {
			t.Fatal(err)
		}
		w.people = append(w.people, p)
		running.Go(func() {
			if err := p.client.Run(ctx); err != nil {
				p.wrong("the client ended: %v", err)
			}
		})
	}
	t.Cleanup(func() {
		w.hush()
		cancel()
		running.Wait()
	})
	eventually(t, "everyone is connected", func() bool {
		return !slices.ContainsFunc(w.people, func(p *person) bool { return p.home() == "" })
	})
	for i, p := range w.people {
		w.sending.Go(func() { w.write(ctx, i, p) })
	}
	return w
}

// hush has nobody begin another send.
func (w *crowd) hush() {
	select {
	case <-w.quit:
	default:
		close(w.quit)
	}
}

// write sends messages one after the other.
func (w *crowd) write(ctx context.Context, self int, p *person) {
	for n := 1; ; n++ {
		select {
		case <-time.After(rand.N(2 * pace)):
		case <-w.quit:
			return
		}
		m := client.Outgoing{ID: strconv.Itoa(n), Body: []byte(p.name + " writes " + strconv.Itoa(n))}
		for _, i := range rand.Perm(len(w.people))[:3] {
			if i != self {
				m.To = append(m.To, w.people[i].name)
			}
		}
		m.To = m.To[:1+rand.N(len(m.To))]
		p.mu.Lock()
		p.sent = append(p.sent, sent{to: m.To, began: time.Now()})
		p.mu.Unlock()
		_, err := p.client.Send(ctx, m)
		p.mu.Lock()
		s := &p.sent[n-1]
		s.end, s.stored, s.why = time.Now(), err == nil, err
		p.mu.Unlock()
	}
}

func (p *person) wrong(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bad = append(p.bad, fmt.Sprintf(format, args...))
}

func (p *person) message(m client.Message) {
	n, err := strconv.Atoi(m.ID)
	if err != nil {
		p.wrong("a message with the id %q", m.ID)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen[m.MessageID] {
		p.bad = append(p.bad, fmt.Sprintf("message %d of %s came twice", n, m.From))
	}
	p.seen[m.MessageID] = true
	p.got[m.From] = append(p.got[m.From], n)
}

func (p *person) state(s client.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch s.Phase {
	case client.Connected:
		p.at = s.URL
	case client.Disconnected:
		p.at = ""
		if end := (*client.CloseError)(nil); errors.As(s.Err, &end) {
			p.ends[end.Code]++
		}
	}
}

func (p *person) error(err error) {
	var sequence *client.SequenceError
	var server *client.ServerError
	switch {
	case errors.As(err, &sequence):
		p.wrong("%v", err)
	case errors.As(err, &server):
		p.mu.Lock()
		defer p.mu.Unlock()
		p.told[server.Code]++
	}
}

// home returns the URL of the node that the person is connected to, empty for none.
func (p *person) home() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at
}

// at returns those who are connected to a node.
func (w *crowd) at(m *member) (there []*person) {
	for _, p := range w.people {
		if p.home() == m.url {
			there = append(there, p)
		}
	}
	return there
}

// served waits until people have had messages stored that they began to send after this
// call. It returns how long after a moment each had the first message stored that was begun
// after that, in ascending order.
func (w *crowd) served(people []*person, moment time.Time) []time.Duration {
	w.t.Helper()
	from := time.Now()
	eventually(w.t, "everyone is served", func() bool {
		for _, p := range people {
			p.mu.Lock()
			ok := slices.ContainsFunc(p.sent, func(s sent) bool { return s.stored && s.began.After(from) })
			p.mu.Unlock()
			if !ok {
				return false
			}
		}
		return true
	})
	var first []time.Duration
	for _, p := range people {
		p.mu.Lock()
		i := slices.IndexFunc(p.sent, func(s sent) bool { return s.stored && s.began.After(moment) })
		first = append(first, p.sent[i].end.Sub(moment).Round(10*time.Millisecond))
		p.mu.Unlock()
	}
	slices.Sort(first)
	return first
}

// summary says how long things took, for logs.
func summary(times []time.Duration) string {
	if len(times) == 0 {
		return "none"
	}
	return fmt.Sprintf("%v median, %v at most, of %d", times[len(times)/2], times[len(times)-1], len(times))
}

// describe says in a word or two why a send failed.
func describe(err error) string {
	var unknown *client.UnknownError
	var rejected *client.RejectedError
	switch {
	case errors.As(err, &unknown):
		return strings.TrimSpace("unknown " + string(unknown.Code))
	case errors.As(err, &rejected):
		return "rejected " + string(rejected.Code)
	}
	return err.Error()
}

// settle has everybody stop, and checks that all that was acknowledged came to all whom it
// concerns, the sender included: once, and in order.
func (w *crowd) settle() {
	w.t.Helper()
	w.hush()
	w.sending.Wait()
	type pair struct{ from, to *person }
	byName := make(map[string]*person)
	for _, p := range w.people {
		byName[p.name] = p
	}
	// Nobody sends any more, so this does not change.
	want := make(map[pair]map[int]bool)
	stored, failed := 0, make(map[string]int)
	for _, p := range w.people {
		for i, s := range p.sent {
			if !s.stored {
				failed[describe(s.why)]++
				continue
			}
			stored++
			for _, to := range append([]string{p.name}, s.to...) {
				at := pair{p, byName[to]}
				if want[at] == nil {
					want[at] = make(map[int]bool)
				}
				want[at][i+1] = true
			}
		}
	}
	missing := func() (text string) {
		for at, numbers := range want {
			at.to.mu.Lock()
			got := slices.Clone(at.to.got[at.from.name])
			at.to.mu.Unlock()
			came := make(map[int]bool, len(got))
			for _, n := range got {
				came[n] = true
			}
			for n := range numbers {
				if !came[n] {
					return fmt.Sprintf("%s lacks message %d of %s, which is acknowledged", at.to.name, n, at.from.name)
				}
			}
		}
		return ""
	}
	deadline := time.Now().Add(patience)
	for text := missing(); text != ""; text = missing() {
		if time.Now().After(deadline) {
			w.t.Fatalf("after %v: %s", patience, text)
		}
		time.Sleep(20 * time.Millisecond)
	}
	for at, numbers := range want {
		at.to.mu.Lock()
		last := 0
		for _, n := range at.to.got[at.from.name] {
			if !numbers[n] {
				continue // nobody was told that it is stored, so it may come at any time
			}
			if n <= last {
				w.t.Errorf("%s got message %d of %s after %d", at.to.name, n, at.from.name, last)
			}
			last = n
		}
		at.to.mu.Unlock()
	}
	for _, p := range w.people {
		p.mu.Lock()
		for _, text := range p.bad {
			w.t.Errorf("%s: %s", p.name, text)
		}
		p.mu.Unlock()
	}
	w.t.Logf("%d messages were stored; those that were not: %v", stored, failed)
}
