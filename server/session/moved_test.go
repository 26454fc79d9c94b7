package session

import (
	"bytes"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/placement"
)

// assign puts a map in force in which the partition of a user has these nodes, and n1 all
// others.
func (r *rig) assign(user, owner, next, previous string) {
	r.t.Helper()
	version := r.deps.Placement.Load().Version() + 1
	changes := []cluster.Change{
		cluster.Put(cluster.Settings{Partitions: 4, Generation: 1}),
		cluster.Put(cluster.Controller{Version: version, Node: "n1"}),
		cluster.Put(cluster.Node{ID: "n1", URL: "ws://n1"}),
		cluster.Put(cluster.Node{ID: "n2", URL: "ws://n2:8080"}),
	}
	for p := range backplane.Partition(4) {
		a := cluster.Assignment{Partition: p, Owner: "n1"}
		if p == backplane.PartitionOf(user, 4) {
			a.Owner, a.Next, a.Previous = owner, next, previous
		}
		changes = append(changes, cluster.Put(a))
	}
	m, err := placement.FromSnapshot(new(cluster.Snapshot).With(changes...), "n1")
	if err != nil {
		r.t.Fatal(err)
	}
	r.deps.Placement.Store(m)
}

// move moves the sessions of the rig's peers, as far as the map says.
func (p *peer) move() {
	p.s.Move(p.r.loop)
	p.pump()
}

// here is a user of partition 0.
const here = "alice"

// TestMove: a client whose partition has gone elsewhere is told where, gets the answers to
// what it has sent, and then the close; what it sends after that is refused for now.
func TestMove(t *testing.T) {
	for _, e := range []codec.Encoding{codec.JSON, codec.Proto} {
		r := newRig(t)
		p := r.connect(here, e)
		p.send("m1", "bob", "hi")
		p.move()
		p.none() // the node is the owner
		r.assign(here, "n1", "n2", "")
		p.move()
		p.none()
		r.assign(here, "n2", "", "n1")
		p.move()
		if m := p.want(codec.FrameMoved).Moved; m.URL != "ws://n2:8080" || m.Node != "n2" || m.MapVersion != 9 {
			t.Errorf("moved is %+v", m)
		}
		p.send("m2", "bob", "hi")
		if a := p.want(codec.FrameAck).Ack; a.Status != backplane.Rejected || a.Code != codec.CodeNotOwner {
			t.Errorf("the answer to a send after moved: %+v", a)
		}
		p.ask("h1")
		if h := p.want(codec.FrameHistoryPage).HistoryPage; h.Code != codec.CodeNotOwner {
			t.Errorf("the answer to a question after moved: %+v", h)
		}
		p.move()
		p.none()
		r.answer(0, backplane.Outcome{Status: backplane.Stored, Time: start})
		p.pump()
		if a := p.want(codec.FrameAck).Ack; a.Status != backplane.Stored || string(a.ID) != "m1" {
			t.Errorf("the answer to the send before moved: %+v", a)
		}
		p.none()
		if p.closed != 4200 {
			t.Errorf("closed with %d", p.closed)
		}
		if users, _ := r.deps.Registry.Len(); users != 0 {
			t.Error("the session is still registered")
		}
	}
}

// TestAdmission: which node takes a user in while the partition moves.
func TestAdmission(t *testing.T) {
	for _, tt := range []struct {
		name                  string
		owner, next, previous string
		behind                bool
		status                int
	}{
		{"owner", "n1", "", "", false, 101},
		{"owner that is behind", "n1", "", "n2", true, 503},
		{"next that is ready", "n2", "n1", "", false, 101},
		{"next that is not", "n2", "n1", "", true, 421},
		{"previous", "n2", "", "n1", false, 421},
		{"none of them", "n2", "", "", false, 421},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.assign(here, tt.owner, tt.next, tt.previous)
			r.behind = tt.behind
			p := r.open()
			p.receive(request("token="+here, protocol(codec.JSON)))
			if p.status() != tt.status {
				t.Errorf("answered %s, want %d", p.head, tt.status)
			}
			if tt.status == 421 && !bytes.Contains(p.head, []byte("Godwit-Node-Url: ws://n2:8080\r\nGodwit-Map-Version: 8\r\n")) {
				t.Errorf("answered %s", p.head)
			}
		})
	}
}

// TestMovedMeanwhile: the partition goes elsewhere while it is worked out where the
// connection begins.
func TestMovedMeanwhile(t *testing.T) {
	r := newRig(t)
	p := r.open()
	p.receive(request("token="+here+"&start=last:5", protocol(codec.JSON)))
	if len(r.readings) != 1 {
		t.Fatalf("%d questions, answered %s", len(r.readings), p.head)
	}
	r.assign(here, "n2", "", "n1")
	r.work(1)
	p.pump()
	if p.status() != 421 {
		t.Errorf("answered %s", p.head)
	}
}

// TestNewerMap: a client that knows a newer map than the node waits for it.
func TestNewerMap(t *testing.T) {
	r := newRig(t)
	for query, status := range map[string]int{"7": 101, "8": 503, "x": 400} {
		p := r.open()
		p.receive(request("token="+here+"&map_version="+query, protocol(codec.JSON)))
		if p.status() != status {
			t.Errorf("map_version=%s: answered %s", query, p.head)
		}
	}
}

// TestDegraded: a node without its log says so, once, keeps its clients, and refuses what
// it cannot do.
func TestDegraded(t *testing.T) {
	r := newRig(t)
	p := r.connect(here, codec.JSON)
	r.degraded = true
	p.s.TellDegraded(r.loop)
	p.pump()
	if e := p.want(codec.FrameError).Error; e.Code != codec.CodeDegraded || p.closed != 0 {
		t.Errorf("told %+v, close %d", e, p.closed)
	}
	p.send("m1", "bob", "hi")
	if a := p.want(codec.FrameAck).Ack; a.Status != backplane.Rejected || a.Code != codec.CodeDegraded {
		t.Errorf("the answer to a send: %+v", a)
	}
	other := r.open()
	other.receive(request("token=bob", protocol(codec.JSON)))
	if other.status() != 503 || !bytes.Contains(other.wire, []byte("degraded")) {
		t.Errorf("answered %s%s", other.head, other.wire)
	}
	r.degraded = false
	p.send("m2", "bob", "hi")
	if len(r.sends) != 1 {
		t.Error("a send was not tried after the log was back")
	}
}
