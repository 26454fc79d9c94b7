package client_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/auth"
	"github.com/godwit-im/godwit/tools/client"
	"github.com/godwit-im/godwit/tools/processtest"
)

// These tests have the client speak to a real node, which is a process on an embedded
// broker of the test.

// patience is how long a test waits for what must happen.
const patience = 90 * time.Second

// partitions is how many the log of a test has.
const partitions = 4

var program = sync.OnceValues(func() (string, error) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return "", err
	}
	return processtest.Build(root, "client/godwit", root, "./tools/godwit")
})

// realNode is a node that can be killed and started again at the same address.
type realNode struct {
	*processtest.Process
	t             *testing.T
	name          string
	log           kafka.Config
	key           *auth.DevKey
	file          string
	listen, admin string
}

func startReal(t *testing.T, history string) *realNode {
	t.Helper()
	dir := t.TempDir()
	key, err := auth.OpenDevKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	n := &realNode{t: t, name: "n1", log: kafkatest.Embedded(t, partitions), key: key, file: filepath.Join(dir, "godwit.yaml"), listen: freePort(t), admin: freePort(t)}
	n.configure(fmt.Sprintf("history: {store: %s, folder: %q}", history, filepath.Join(dir, "history")))
	n.start()
	return n
}

// startPair starts two nodes, and returns them with a function that stops them, writes a newer
// map by which each has the other's partitions, and starts them again.
func startPair(t *testing.T) (nodes [2]*realNode, swap func()) {
	t.Helper()
	nodes[0] = startReal(t, "none")
	nodes[0].Kill()
	other := *nodes[0]
	nodes[1] = &other
	other.name, other.listen, other.admin = "n2", freePort(t), freePort(t)
	version := 6
	write := func() {
		version++
		first := version % 2
		nodes[0].configure(fmt.Sprintf(`
history: {store: none}
map_version: %d
map:
  - {node: n1, url: "ws://%s", partitions: "%s"}
  - {node: n2, url: "ws://%s", partitions: "%s"}
`, version, nodes[0].listen, []string{"0,2", "1,3"}[first], nodes[1].listen, []string{"1,3", "0,2"}[first]))
		for _, n := range nodes {
			n.start()
		}
	}
	write()
	return nodes, func() {
		for _, n := range nodes {
			n.Kill()
		}
		write()
	}
}

// configure writes the file of settings: those of the log and the key, and others.
func (n *realNode) configure(others string) {
	n.t.Helper()
	settings := fmt.Sprintf(`
kafka: {brokers: [%q], namespace: %q, generation: %d, partitions: %d}
token: {key_file: %q}
unsafe: true
`, n.log.Brokers[0], n.log.Namespace, n.log.Generation, partitions, n.key.File())
	if err := os.WriteFile(n.file, []byte(settings+others+"\n"), 0o600); err != nil {
		n.t.Fatal(err)
	}
}

// freePort returns an address of 127.0.0.1 that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	return fmt.Sprint("127.0.0.1:", processtest.FreePorts(t, 1)[0])
}

// start starts the node and returns when it is ready.
func (n *realNode) start() {
	n.t.Helper()
	binary, err := program()
	if err != nil {
		n.t.Fatal(err)
	}
	n.Process = processtest.Start(n.t, exec.Command(binary, "serve", "--config", n.file, "--node", n.name, "--listen", n.listen, "--admin", n.admin))
	ask := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	eventually(n.t, "the node is ready", func() bool {
		if n.Ended() {
			n.t.Fatalf("the node ended instead of serving:\n%s", n.Stderr.String())
		}
		r, err := ask.Get("http://" + n.admin + "/readyz")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so after %v: %s", patience, what)
		}
	}
}

// device is a client with all that it was told.
type device struct {
	*client.Client
	t    *testing.T
	stop func() // ends Run

	mu    sync.Mutex
	conns []net.Conn // that it has made
	ids   []string   // of the messages
	gone  []client.Gone
	wrong []string // what must not be told
}

// device runs a client of a user.
func (n *realNode) device(user, name string, change func(*client.Options)) *device {
	n.t.Helper()
	d := &device{t: n.t}
	put := func(f func()) {
		d.mu.Lock()
		defer d.mu.Unlock()
		f()
	}
	opts := client.Options{
		URLs:   []string{"ws://" + n.listen},
		Device: name,
		Token: func(context.Context) (string, error) {
			return n.key.Sign(user, time.Hour, time.Now())
		},
		MinBackoff: 10 * time.Millisecond, MaxBackoff: 100 * time.Millisecond,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			nc, err := new(net.Dialer).DialContext(ctx, network, address)
			if err == nil {
				put(func() { d.conns = append(d.conns, nc) })
			}
			return nc, err
		},
		OnMessage: func(m client.Message) {
			put(func() {
				d.ids = append(d.ids, m.ID)
				if want := "body of " + m.ID; len(m.Body) > 0 && string(m.Body) != want {
					d.wrong = append(d.wrong, fmt.Sprintf("the body of %s is %q", m.ID, m.Body))
				}
			})
		},
		OnGone: func(g client.Gone) { put(func() { d.gone = append(d.gone, g) }) },
		OnGap: func(g client.Gap) {
			put(func() { d.wrong = append(d.wrong, fmt.Sprintf("%+v", g)) })
		},
		OnError: func(err error) {
			put(func() { d.wrong = append(d.wrong, err.Error()) })
		},
	}
	if change != nil {
		change(&opts)
	}
	c, err := client.New(opts)
	if err != nil {
		n.t.Fatal(err)
	}
	d.Client = c
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- c.Run(ctx) }()
	d.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ran; err != nil {
			n.t.Errorf("Run of %s returned %v", name, err)
		}
	})
	n.t.Cleanup(d.stop)
	return d
}

// cut ends the connection that the device has now, if it has one, as a broken network does.
func (d *device) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := len(d.conns); n > 0 {
		d.conns[n-1].Close()
	}
}

// told returns the ids of the messages so far.
func (d *device) told() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.ids)
}

// has waits until the device has had a number of messages.
func (d *device) has(count int) []string {
	d.t.Helper()
	eventually(d.t, fmt.Sprintf("%d messages have come", count), func() bool { return len(d.told()) >= count })
	return d.told()
}

// connected waits for the first connection, so that nothing lies before its beginning.
func (d *device) connected() *device {
	d.t.Helper()
	eventually(d.t, "the client is connected", func() bool { return d.Cursor() != "" })
	return d
}

func (d *device) check() {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.wrong) > 0 {
		d.t.Errorf("told: %s", strings.Join(d.wrong, "\n"))
	}
}

// send sends a message to bob that must be stored.
func (d *device) send(id string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	for {
		_, err := d.Send(ctx, client.Outgoing{ID: id, To: []string{"bob"}, Body: []byte("body of " + id)})
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			d.t.Fatalf("send %s: %v", id, err)
		}
	}
}

// Connections are cut, the node is killed, and a program is started anew with the cursor
// that it kept: each message comes once, in one order for all devices.
func TestOneTimelineAcrossConnections(t *testing.T) {
	n := startReal(t, "pebble")
	alice := n.device("alice", "phone", nil).connected()
	phone := n.device("bob", "phone", nil).connected()
	laptop := n.device("bob", "laptop", func(o *client.Options) { o.JSON = true }).connected()
	steady := n.device("bob", "tablet", nil).connected()

	const count = 300
	next := make(chan int)
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			for i := range next {
				alice.send(fmt.Sprint("m", i))
			}
		})
	}
	var before []string // what came before the laptop's program was started anew
	for i := range count {
		next <- i
		switch {
		case i == 120:
			laptop.stop()
			laptop.check()
			before = laptop.told()
			cursor := laptop.Cursor()
			laptop = n.device("bob", "laptop", func(o *client.Options) { o.Cursor = cursor })
		case i == 200:
			n.Kill()
			n.start()
		case i%30 == 10:
			phone.cut()
		case i%30 == 20:
			laptop.cut()
		case i%70 == 60:
			alice.cut()
		}
	}
	close(next)
	senders.Wait()

	ids := steady.has(count)
	sorted := slices.Compact(slices.Sorted(slices.Values(ids)))
	if len(ids) != count || len(sorted) != count {
		t.Fatalf("%d messages came, %d different ones, of %d", len(ids), len(sorted), count)
	}
	for name, got := range map[string][]string{
		"phone": phone.has(count), "laptop": append(before, laptop.has(count-len(before))...), "alice": alice.has(count),
	} {
		if name == "alice" { // the order of another partition
			slices.Sort(got)
			if !slices.Equal(got, sorted) {
				t.Errorf("alice's phone got %d messages, not each of the %d once", len(got), count)
			}
			continue
		}
		if !slices.Equal(got, ids) {
			t.Errorf("bob's %s got %q\nhis tablet %q", name, got, ids)
		}
	}
	if got := readAll(t, steady); !slices.Equal(got, ids) {
		t.Errorf("the history has %q\nthe tablet got %q", got, ids)
	}
	for _, d := range []*device{alice, phone, laptop, steady} {
		d.check()
		if len(d.gone) > 0 {
			t.Errorf("told to be gone: %+v", d.gone)
		}
	}
}

// Two nodes share the users. When the map has changed, each client finds its node, and
// goes on there where it was.
func TestRealMapChanges(t *testing.T) {
	nodes, swap := startPair(t)
	both := func(o *client.Options) {
		o.URLs = []string{"ws://" + nodes[0].listen, "ws://" + nodes[1].listen}
	}
	var at sync.Map // the node at which each user is
	where := func(user string) func(*client.Options) {
		return func(o *client.Options) {
			both(o)
			o.OnState = func(s client.State) {
				if s.Phase == client.Connected {
					at.Store(user, s.Welcome.Node)
				}
			}
		}
	}
	alice := nodes[0].device("alice", "phone", where("alice")).connected()
	bob := nodes[0].device("bob", "phone", where("bob")).connected()
	const count = 60
	for i := range count {
		if i%20 == 10 {
			before, _ := at.Load("bob")
			swap()
			alice.send(fmt.Sprint("m", i))
			eventually(t, "bob is at another node", func() bool { now, _ := at.Load("bob"); return now != before })
			continue
		}
		alice.send(fmt.Sprint("m", i))
	}
	var want []string
	for i := range count {
		want = append(want, fmt.Sprint("m", i))
	}
	for name, d := range map[string]*device{"alice": alice, "bob": bob} {
		if got := d.has(count); !slices.Equal(got, want) {
			t.Errorf("%s got %q", name, got)
		}
		if len(d.gone) > 0 {
			t.Errorf("%s was told to be gone: %+v", name, d.gone)
		}
	}
	a, _ := at.Load("alice")
	b, _ := at.Load("bob")
	if a == b {
		t.Errorf("alice and bob are both at %v", a)
	}
}

// In a cluster a user is moved to and fro while messages come and go: each comes once, in
// order. How long the stream pauses is logged, beside how long it pauses anyway.
func TestRealMoves(t *testing.T) {
	var nodes [2]*realNode
	nodes[0] = startReal(t, "none")
	nodes[0].Kill()
	nodes[0].configure("history: {store: none}\ncluster: {enabled: true}")
	other := *nodes[0]
	nodes[1] = &other
	other.name, other.listen, other.admin = "n2", freePort(t), freePort(t)
	for _, n := range nodes {
		n.start()
	}
	var (
		mu    sync.Mutex
		last  time.Time     // when a message came
		pause time.Duration // the longest between two
		node  string        // where bob is
	)
	locked := func(f func()) { mu.Lock(); defer mu.Unlock(); f() }
	bob := nodes[0].device("bob", "phone", func(o *client.Options) {
		on := o.OnMessage
		o.OnMessage = func(m client.Message) {
			locked(func() {
				if !last.IsZero() {
					pause = max(pause, time.Since(last))
				}
				last = time.Now()
			})
			on(m)
		}
		o.OnState = func(s client.State) {
			if s.Phase == client.Connected {
				locked(func() { node = s.Welcome.Node })
			}
		}
	}).connected()
	alice := nodes[1].device("alice", "phone", nil).connected()
	over := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-over:
				return
			default:
				alice.send(fmt.Sprint("m", i))
			}
		}
	})
	bob.has(200)
	var still time.Duration
	locked(func() { still, pause = pause, 0 })
	for range 4 {
		var from string
		locked(func() { from = node })
		to := map[string]string{"n1": "n2", "n2": "n1"}[from]
		answer, err := http.Post("http://"+nodes[0].admin+"/v1/cluster/requests", "application/json", strings.NewReader(
			fmt.Sprintf(`{"kind":"move","partitions":"%d","to":%q,"by":"test"}`, backplane.PartitionOf("bob", partitions), to)))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Fatalf("the move is refused with %s", answer.Status)
		}
		eventually(t, "bob is at "+to, func() (there bool) { locked(func() { there = node == to }); return there })
		had := len(bob.told())
		bob.has(had + 50)
	}
	close(over)
	sending.Wait()
	ids := bob.has(len(alice.has(1)))
	for i, id := range ids {
		if id != fmt.Sprint("m", i) {
			t.Fatalf("message %d is %s", i, id)
		}
	}
	bob.stop()
	locked(func() { t.Logf("the longest pause without moves was %v, with moves %v", still, pause) })
}

// readAll returns the ids of the messages of a timeline, read back from its end.
func readAll(t *testing.T, d *device) (ids []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	q := client.Query{Peer: "alice"}
	for {
		p, err := d.History(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		var page []string
		for _, m := range p.Messages {
			page = append(page, m.ID)
		}
		ids = append(page, ids...)
		if !p.MoreBefore {
			return ids
		}
		q.Before = p.Before
	}
}

// What retention has taken while a device was away is told to be gone, and the rest
// comes. A cursor that the log has never come to is told, and the device begins anew.
func TestGoneForGood(t *testing.T) {
	n := startReal(t, "none")
	alice := n.device("alice", "phone", nil).connected()
	bob := n.device("bob", "phone", nil).connected()
	alice.send("m0")
	bob.has(1)
	bob.stop()
	cursor := bob.Cursor()
	for i := 1; i <= 6; i++ {
		alice.send(fmt.Sprint("m", i))
	}
	alice.stop()
	at, err := codec.ParseCursor(cursor)
	if err != nil {
		t.Fatal(err)
	}
	if home := backplane.PartitionOf("bob", partitions); at.Partition != home || home == backplane.PartitionOf("alice", partitions) {
		t.Fatalf("the cursor is %+v, of partition %d", at, home)
	}
	n.Kill()
	const taken = 4
	kafkatest.DeleteBefore(t, n.log, at.Partition, at.Offset+1+taken)
	n.start()

	bob = n.device("bob", "phone", func(o *client.Options) { o.Cursor = cursor })
	if got := bob.has(2); !slices.Equal(got, []string{"m5", "m6"}) {
		t.Errorf("what is left is %q", got)
	}
	bob.stop()
	bob.check()
	first := at
	first.Offset += 1 + taken
	if len(bob.gone) != 1 || bob.gone[0] != (client.Gone{After: cursor, Before: string(codec.AppendCursor(nil, first))}) {
		t.Errorf("told to be gone: %+v", bob.gone)
	}

	future := at
	future.Offset = 1 << 40
	beyond := string(codec.AppendCursor(nil, future))
	bob = n.device("bob", "phone", func(o *client.Options) { o.Cursor = beyond })
	bob.connected()
	eventually(t, "the client has begun anew", func() bool { return bob.Cursor() != beyond && bob.Cursor() != "" })
	alice = n.device("alice", "phone", nil)
	alice.send("m7")
	if got := bob.has(1); !slices.Equal(got, []string{"m7"}) {
		t.Errorf("after a new beginning there is %q", got)
	}
	bob.stop()
	if len(bob.gone) != 1 || bob.gone[0] != (client.Gone{After: beyond, Code: codec.CodeUnknownCursor}) {
		t.Errorf("told to be gone: %+v", bob.gone)
	}
}
