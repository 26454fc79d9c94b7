package client_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/tools/client"
)

// listener is alice's client with all that it was told.
type listener struct {
	*client.Client
	stop func()

	mu    sync.Mutex
	ids   []string
	at    []time.Time // when they came
	moves int
	wrong []string
}

func (c *fakes) listener(change func(*client.Options)) *listener {
	c.t.Helper()
	l := new(listener)
	put := func(f func()) {
		l.mu.Lock()
		defer l.mu.Unlock()
		f()
	}
	opts := client.Options{
		URLs: c.urls(), Token: client.StaticToken("secret"), Device: "phone",
		MinBackoff: 5 * time.Millisecond, MaxBackoff: 100 * time.Millisecond,
		OnMessage: func(m client.Message) {
			put(func() { l.ids, l.at = append(l.ids, m.ID), append(l.at, time.Now()) })
		},
		OnGone: func(g client.Gone) { put(func() { l.wrong = append(l.wrong, fmt.Sprintf("%+v", g)) }) },
		OnGap:  func(g client.Gap) { put(func() { l.wrong = append(l.wrong, fmt.Sprintf("%+v", g)) }) },
		OnState: func(s client.State) {
			if s.Phase == client.Connected {
				put(func() { l.moves++ })
			}
		},
	}
	if change != nil {
		change(&opts)
	}
	var err error
	if l.Client, err = client.New(opts); err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- l.Run(ctx) }()
	l.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ran; err != nil {
			c.t.Errorf("Run returned %v", err)
		}
	})
	c.t.Cleanup(l.stop)
	eventually(c.t, "the client is connected", func() bool { return l.Cursor() != "" })
	return l
}

func (l *listener) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.ids)
}

// isAll checks that the client was told the whole timeline, each message once, in order.
func (l *listener) isAll(c *fakes) {
	c.t.Helper()
	c.mu.Lock()
	var want []string
	for _, m := range c.records {
		want = append(want, string(m.ID))
	}
	c.mu.Unlock()
	eventually(c.t, fmt.Sprintf("%d messages have come", len(want)), func() bool { return l.count() >= len(want) })
	l.stop()
	if !slices.Equal(l.ids, want) {
		c.t.Errorf("%d messages came in place of %d, or in another order", len(l.ids), len(want))
	}
	if len(l.wrong) > 0 {
		c.t.Errorf("told %q", l.wrong)
	}
}

// talk has bob say something every while, until stop is called.
func (c *fakes) talk(every time.Duration) (stop func()) {
	var wait sync.WaitGroup
	over := make(chan struct{})
	wait.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for i := 0; ; i++ {
			select {
			case <-ticker.C:
				c.say(fmt.Sprint("b", i))
			case <-over:
				return
			}
		}
	})
	return func() { close(over); wait.Wait() }
}

// longest returns the longest time between two messages.
func (l *listener) longest() (d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := 1; i < len(l.at); i++ {
		d = max(d, l.at[i].Sub(l.at[i-1]))
	}
	return d
}

// A stream of messages goes on through many moves. How long it pauses is logged, beside
// how long it pauses anyway.
func TestMovesUnderLoad(t *testing.T) {
	c := startFakes(t, 2)
	l := c.listener(nil)
	stop := c.talk(time.Millisecond)
	eventually(t, "there is a stream", func() bool { return l.count() > 300 })
	still := l.longest()
	for i := range 20 {
		c.own(1-i%2, func() time.Duration { return 0 })
		had := l.count()
		eventually(t, "the stream goes on", func() bool { return l.count() > had+100 })
	}
	stop()
	l.isAll(c)
	if l.moves != 21 {
		t.Errorf("the client was connected %d times, want 21", l.moves)
	}
	t.Logf("the longest pause without moves was %v, with moves %v", still, l.longest())
}

// A cluster that does everything that clusters do: the map changes, nodes hear of it at
// different times, nodes and connections break. Each send is stored once, and each message
// comes once, in order.
func TestRestlessCluster(t *testing.T) {
	for _, json := range []bool{false, true} {
		t.Run(fmt.Sprintf("json=%v", json), func(t *testing.T) {
			c := startFakes(t, 4)
			l := c.listener(func(o *client.Options) { o.JSON = json })
			stop := c.talk(2 * time.Millisecond)
			var senders sync.WaitGroup
			const each = 150
			for i := range 4 {
				senders.Go(func() {
					for j := range each {
						id := fmt.Sprintf("a%d-%d", i, j)
						if _, err := l.Send(t.Context(), client.Outgoing{ID: id, To: []string{"bob"}, Body: []byte(id)}); err != nil {
							t.Errorf("send %s: %v", id, err)
						}
					}
				})
			}
			done := make(chan struct{})
			go func() { senders.Wait(); close(done) }()
			lag := func() time.Duration { return rand.N(60 * time.Millisecond) }
			for step := 0; ; step++ {
				select {
				case <-done:
				case <-time.After(rand.N(150 * time.Millisecond)):
					n := c.nodes[rand.N(len(c.nodes))]
					switch step % 4 {
					case 0, 1:
						c.own(rand.N(len(c.nodes)), lag)
					case 2:
						n.cut()
					case 3:
						n.setDown(true)
						c.own(rand.N(len(c.nodes)), lag)
						time.Sleep(rand.N(50 * time.Millisecond))
						n.setDown(false)
					}
					continue
				}
				break
			}
			stop()
			l.isAll(c)
			seen := make(map[string]int)
			for _, id := range l.ids {
				seen[id]++
			}
			for i := range 4 {
				for j := range each {
					if id := fmt.Sprintf("a%d-%d", i, j); seen[id] != 1 {
						t.Errorf("%s came %d times", id, seen[id])
					}
				}
			}
			t.Logf("%d connections, %d messages, %d sends repeated", l.moves, len(l.ids), c.repeats)
		})
	}
}
