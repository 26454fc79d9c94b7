package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/tools/client"
)

// users are clients that find their nodes by themselves, and know what they were sent.
// They are for clusters, where that counts; bench/load has cheaper ones.
type users struct {
	b       testing.TB
	all     []*user
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex
	acked map[string]bool // guarded by mu: the bodies that were acknowledged
}

// user is one of them.
type user struct {
	name      string
	partition backplane.Partition
	client    *client.Client

	mu        sync.Mutex
	arrived   map[string]int // guarded by mu: how often each body came
	last      time.Time      // guarded by mu: when the last one came
	pause     time.Duration  // guarded by mu: the longest pause since it was asked for
	connected time.Time      // guarded by mu: when the connection began; zero while there is none
	first     time.Time      // guarded by mu: when the first message came on it
}

// newUsers connects n users to a cluster.
func newUsers(b testing.TB, f *fleet, n int) *users {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	u := &users{b: b, cancel: cancel, acked: map[string]bool{}}
	for i := range n {
		who := &user{name: fmt.Sprint("user-", i), arrived: map[string]int{}}
		who.partition = backplane.PartitionOf(who.name, f.log.Partitions)
		token, err := f.key.Sign(who.name, 24*time.Hour, time.Now())
		if err != nil {
			b.Fatal(err)
		}
		who.client, err = client.New(client.Options{
			URLs: f.urls(), Token: client.StaticToken(token), OnMessage: who.message, OnState: who.state, MaxBackoff: time.Second,
		})
		if err != nil {
			b.Fatal(err)
		}
		u.all = append(u.all, who)
		u.running.Go(func() {
			if err := who.client.Run(ctx); err != nil {
				b.Errorf("%s: %v", who.name, err)
			}
		})
	}
	eventually(b, "all are connected", func() bool {
		for _, who := range u.all {
			if !who.isBack(time.Time{}) {
				return false
			}
		}
		return true
	})
	return u
}

// end disconnects them.
func (u *users) end() {
	u.cancel()
	u.running.Wait()
}

func (w *user) message(m client.Message) {
	if m.Self {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.arrived[string(m.Body)]++
	if !w.last.IsZero() {
		w.pause = max(w.pause, now.Sub(w.last))
	}
	w.last = now
	if w.first.IsZero() {
		w.first = now
	}
}

func (w *user) state(s client.State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch s.Phase {
	case client.Connected:
		w.connected, w.first = time.Now(), time.Time{}
	case client.Disconnected:
		w.connected = time.Time{}
	}
}

// isBack reports whether the user is on a connection that began after a moment.
func (w *user) isBack(since time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.connected.After(since)
}

// talk has random users send to others, so many messages a second all together, until stop
// is called. stop returns when the outcome of each is known.
func (u *users) talk(rate float64) (stop func()) {
	quit := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		begun, sent := time.Now(), 0
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			for ; float64(sent) < time.Since(begun).Seconds()*rate; sent++ {
				from, to := u.all[rand.IntN(len(u.all))], u.all[sent%len(u.all)]
				if from == to {
					continue
				}
				body := strconv.Itoa(sent) + " " + to.name
				sending.Go(func() { u.send(from, to, body) })
			}
		}
	})
	return func() {
		close(quit)
		sending.Wait()
	}
}

// send sends a message, of which nobody needs to know if it is not acknowledged.
func (u *users) send(from, to *user, body string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := from.client.Send(ctx, client.Outgoing{To: []string{to.name}, Body: []byte(body)}); err == nil {
		u.mu.Lock()
		u.acked[body] = true
		u.mu.Unlock()
	}
}

// of returns the users of some partitions.
func (u *users) of(partitions []backplane.Partition) (list []*user) {
	for _, p := range partitions {
		for _, w := range u.all {
			if w.partition == p {
				list = append(list, w)
			}
		}
	}
	return list
}

// back waits until users are connected again, and have messages, and returns how long
// after a moment the first message of them came, and the last of them was connected.
func (u *users) back(list []*user, since time.Time) (first, all time.Duration) {
	u.b.Helper()
	if len(list) == 0 {
		u.b.Fatal("nobody had to move")
	}
	first = patience
	for _, w := range list {
		eventually(u.b, w.name+" is back", func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			if !w.connected.After(since) || w.first.IsZero() {
				return false
			}
			first, all = min(first, w.first.Sub(since)), max(all, w.connected.Sub(since))
			return true
		})
	}
	return first, all
}

// pauses returns the longest pause between two messages that each of some users saw since
// it was last asked, in milliseconds.
func (u *users) pauses(list []*user) (ms []float64) {
	for _, w := range list {
		w.mu.Lock()
		ms = append(ms, float64(max(w.pause, time.Since(w.last)).Microseconds())/1000)
		w.pause = 0
		w.mu.Unlock()
	}
	return ms
}

// check makes sure that every message that was acknowledged has arrived, and none twice.
func (u *users) check() {
	u.b.Helper()
	u.mu.Lock()
	defer u.mu.Unlock()
	byName := map[string]*user{}
	for _, w := range u.all {
		byName[w.name] = w
	}
	for body := range u.acked {
		_, to, _ := strings.Cut(body, " ")
		w := byName[to]
		eventually(u.b, "message "+body+" has arrived", func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.arrived[body] > 0
		})
	}
	for _, w := range u.all {
		w.mu.Lock()
		for body, n := range w.arrived {
			if n > 1 {
				u.b.Errorf("%q came to %s %d times", body, w.name, n)
			}
		}
		w.mu.Unlock()
	}
	if len(u.acked) == 0 {
		u.b.Error("nothing was sent")
	}
}
