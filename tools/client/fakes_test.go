package client_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gobwas "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// fakes is a cluster of nodes of net/http and another WebSocket library, which has one user,
// alice. All nodes share her timeline; what they know of the map may be old.
type fakes struct {
	t     *testing.T
	nodes []*fake

	mu      sync.Mutex
	version uint64
	owner   int
	offsets map[backplane.MessageID]int64
	records []*backplane.Message // alice's timeline
	grown   chan struct{}        // closed, and replaced, when there is another record
	repeats int                  // sends that were stored already
}

// fake is a node.
type fake struct {
	*fakes
	name   string
	server *httptest.Server

	// Guarded by fakes.mu.
	down     bool // accepts nothing
	seen     uint64
	owns     int // the owner by the map of version seen
	sessions map[*session]bool
}

// session is a connection.
type session struct {
	node *fake
	nc   net.Conn
	enc  codec.Encoding
	done chan struct{}

	write   sync.Mutex
	moved   bool // guarded by write
	answers sync.WaitGroup
}

func startFakes(t *testing.T, count int) *fakes {
	c := &fakes{t: t, version: 1, offsets: make(map[backplane.MessageID]int64), grown: make(chan struct{})}
	for i := range count {
		n := &fake{fakes: c, name: fmt.Sprint("node-", i), seen: 1, sessions: make(map[*session]bool)}
		mux := http.NewServeMux()
		mux.HandleFunc("GET /v1/route", n.route)
		mux.HandleFunc("GET /v1/connect", n.connect)
		n.server = httptest.NewServer(mux)
		c.nodes = append(c.nodes, n)
	}
	t.Cleanup(func() {
		for _, n := range c.nodes {
			n.cut()
			n.server.Close()
		}
	})
	return c
}

func (c *fakes) urls() (urls []string) {
	for _, n := range c.nodes {
		urls = append(urls, n.url())
	}
	return urls
}

func (n *fake) url() string {
	return "ws" + strings.TrimPrefix(n.server.URL, "http") + "/v1/connect"
}

// put stores a message, once.
func (c *fakes) put(m *backplane.Message) (at int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.offsets[m.MessageID]; ok {
		c.repeats++
		return at
	}
	at = int64(len(c.records))
	c.offsets[m.MessageID] = at
	c.records = append(c.records, m)
	close(c.grown)
	c.grown = make(chan struct{})
	return at
}

// say stores a message from bob to alice.
func (c *fakes) say(id string) {
	m := &backplane.Message{From: []byte("bob"), To: [][]byte{[]byte("alice")}, ID: []byte(id), Body: []byte("body of " + id)}
	m.MessageID = backplane.Identify(nil, m)
	c.put(m)
}

// own makes a node the owner by a new map. The others hear of it after lag, and the old owner
// then gives its clients away.
func (c *fakes) own(owner int, lag func() time.Duration) {
	c.mu.Lock()
	c.version++
	version := c.version
	c.owner = owner
	c.mu.Unlock()
	for i, n := range c.nodes {
		apply := func() {
			c.mu.Lock()
			if n.seen >= version {
				c.mu.Unlock()
				return
			}
			n.seen, n.owns = version, owner
			var leave []*session
			for s := range n.sessions {
				if i != owner {
					leave = append(leave, s)
				}
			}
			c.mu.Unlock()
			for _, s := range leave {
				go s.move()
			}
		}
		if d := lag(); d > 0 {
			time.AfterFunc(d, apply)
		} else {
			apply()
		}
	}
}

// told is the map as the node knows it.
func (n *fake) told() (version uint64, owner *fake, down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.seen, n.nodes[n.owns], n.down
}

// setDown makes the node drop all connections, or take connections again.
func (n *fake) setDown(down bool) {
	n.mu.Lock()
	n.down = down
	n.mu.Unlock()
	if down {
		n.cut()
	}
}

// cut ends all connections.
func (n *fake) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for s := range n.sessions {
		s.nc.Close()
	}
}

func (n *fake) route(w http.ResponseWriter, r *http.Request) {
	version, owner, down := n.told()
	if down {
		panic(http.ErrAbortHandler)
	}
	json.NewEncoder(w).Encode(map[string]any{
		"user": r.FormValue("user"), "partition": 2, "node": owner.name, "url": owner.url(), "map_version": version,
	})
}

func (n *fake) connect(w http.ResponseWriter, r *http.Request) {
	version, owner, down := n.told()
	asked, _ := strconv.ParseUint(r.FormValue("map_version"), 10, 64)
	switch {
	case down:
		panic(http.ErrAbortHandler)
	case asked > version:
		w.Header().Set("Retry-After", "0")
		http.Error(w, "not_ready: the map is older", http.StatusServiceUnavailable)
		return
	case owner != n:
		w.Header().Set("Godwit-Node-Url", owner.url())
		w.Header().Set("Godwit-Map-Version", fmt.Sprint(version))
		http.Error(w, "not_owner: elsewhere", http.StatusMisdirectedRequest)
		return
	}
	after := int64(-1)
	if c := r.FormValue("cursor"); c != "" {
		p, err := codec.ParseCursor([]byte(c))
		if err != nil {
			n.t.Errorf("the cursor is %q", c)
		}
		after = p.Offset
	}
	s := &session{node: n, done: make(chan struct{})}
	upgrader := gobwas.HTTPUpgrader{Protocol: func(p string) (ok bool) { s.enc, ok = codec.EncodingOf(p); return ok }}
	nc, _, _, err := upgrader.Upgrade(r, w)
	if err != nil {
		return
	}
	s.nc = nc
	n.mu.Lock()
	n.sessions[s] = true
	n.mu.Unlock()
	s.send(codec.AppendWelcome(nil, s.enc, &codec.Welcome{
		User: "alice", Node: n.name, MapVersion: version, Cursor: place(after), Resumed: r.FormValue("cursor") != "", Heartbeat: time.Minute,
	}))
	go s.read()
	s.deliver(after)
}

func place(offset int64) []byte {
	return codec.AppendCursor(nil, backplane.Position{Generation: 1, Partition: 2, Offset: offset})
}

func (s *session) send(payload []byte) {
	op := gobwas.OpBinary
	if s.enc.Text() {
		op = gobwas.OpText
	}
	s.write.Lock()
	defer s.write.Unlock()
	wsutil.WriteServerMessage(s.nc, op, payload) // a connection that is lost is noticed by read
}

// deliver delivers what lies after an offset, and what comes, until the connection ends.
func (s *session) deliver(after int64) {
	c := s.node.fakes
	for seq := uint64(1); ; {
		c.mu.Lock()
		records, grown := c.records[after+1:], c.grown
		c.mu.Unlock()
		for _, m := range records {
			after++
			at := backplane.Position{Generation: 1, Partition: 2, Offset: after}
			s.send(append(codec.AppendDeliverHead(nil, s.enc, seq, string(m.From) == "alice"),
				codec.AppendDeliverTail(nil, s.enc, at, 1_767_225_600_123, m, backplane.AppendMessage(nil, m), true)...))
			seq++
		}
		select {
		case <-grown:
		case <-s.done:
			return
		}
	}
}

// read answers sends, each after a while, until the connection ends.
func (s *session) read() {
	defer func() {
		s.node.mu.Lock()
		delete(s.node.sessions, s)
		s.node.mu.Unlock()
		close(s.done)
		s.nc.Close()
	}()
	for {
		payload, _, err := wsutil.ReadClientData(s.nc)
		if err != nil {
			return
		}
		var (
			d codec.Decoder
			f codec.ClientFrame
		)
		if err := d.Decode(s.enc, payload, &codec.DefaultLimits, &f); err != nil {
			s.node.t.Errorf("%q: %v", payload, err)
			return
		}
		if f.Type != codec.FrameSend {
			continue
		}
		id := string(f.Send.ID)
		s.write.Lock()
		moved := s.moved
		if !moved {
			s.answers.Add(1)
		}
		s.write.Unlock()
		if moved {
			s.send(codec.AppendAck(nil, s.enc, &codec.Ack{ID: []byte(id), Status: backplane.Rejected, Code: codec.CodeNotOwner}))
			continue
		}
		m := &backplane.Message{From: []byte("alice"), ID: []byte(id), Body: []byte(string(f.Send.Body))}
		for _, to := range f.Send.To {
			m.To = append(m.To, []byte(string(to)))
		}
		m.MessageID = backplane.Identify([]byte("phone"), m)
		time.AfterFunc(rand.N(30*time.Millisecond), func() {
			defer s.answers.Done()
			s.node.put(m)
			s.send(codec.AppendAck(nil, s.enc, &codec.Ack{ID: []byte(id), Status: backplane.Stored, MessageID: m.MessageID, Time: 1}))
		})
	}
}

// move gives the client away as a node does: moved, the answers to what is under way, and
// the end.
func (s *session) move() {
	version, owner, _ := s.node.told()
	s.write.Lock()
	already := s.moved
	s.moved = true
	s.write.Unlock()
	if already {
		return
	}
	s.send(codec.AppendMoved(nil, s.enc, &codec.Moved{URL: owner.url(), Node: owner.name, MapVersion: version}))
	s.answers.Wait()
	s.write.Lock()
	defer s.write.Unlock()
	gobwas.WriteFrame(s.nc, gobwas.NewCloseFrame(gobwas.NewCloseFrameBody(gobwas.StatusCode(codec.CloseMoved), "moved")))
}
