package run

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/tools/verify/nemesis"
	"github.com/godwit-im/godwit/tools/verify/world"
)

// small returns settings of a run on a cluster of this machine.
func small() Settings {
	return Settings{
		Users: 10, Devices: 2, Rate: 50, Duration: time.Minute, Converge: time.Minute, Out: "out",
		Local: &Local{Nodes: 3, Brokers: 1, History: NoStore, Binary: "/godwit", Root: "/root"},
	}
}

// other returns settings of a run on another cluster.
func other() Settings {
	s := small()
	s.Local = nil
	s.Remote = &Remote{URLs: []string{"ws://127.0.0.1:8080/v1/connect"}, Token: func(string, time.Duration) string { return "" }}
	return s
}

func TestValidate(t *testing.T) {
	for _, good := range []func() Settings{small, other} {
		s := good()
		if err := s.Validate(); err != nil {
			t.Error(err)
		}
	}
	for _, c := range []struct {
		base  func() Settings
		spoil func(*Settings)
		want  string
	}{
		{small, func(s *Settings) { s.Users = 1 }, "Users is 1"},
		{small, func(s *Settings) { s.Devices = 0 }, "Devices is 0"},
		{small, func(s *Settings) { s.Rate = 0 }, "Rate is 0"},
		{small, func(s *Settings) { s.Duration = time.Second }, "Duration is 1s"},
		{small, func(s *Settings) { s.Converge = 0 }, "Converge is 0s"},
		{small, func(s *Settings) { s.Out = "" }, "Out is empty"},
		{small, func(s *Settings) { s.Remote = other().Remote }, "one of Local and Remote"},
		{small, func(s *Settings) { s.Local = nil }, "one of Local and Remote"},
		{small, func(s *Settings) { s.Local.Brokers = 2 }, "Brokers is 2"},
		{small, func(s *Settings) { s.Local.History = Pebble }, "the files of Pebble belong to one node"},
		{small, func(s *Settings) { s.Local.History = "paper" }, `History is "paper"`},
		{small, func(s *Settings) { s.Local.Faults = []nemesis.Kind{nemesis.HistoryKill} }, "nothing that history-kill could be done to"},
		{small, func(s *Settings) { s.Local.Faults, s.Duration = []nemesis.Kind{nemesis.NodeKill}, MinDuration }, nemesis.ErrNoRoom.Error()},
		{other, func(s *Settings) { s.Remote.URLs = nil }, "URLs is empty"},
		{other, func(s *Settings) { s.Remote.Token = nil }, "Token is nil"},
		{other, func(s *Settings) { s.Remote.Kafka = new(kafka.Config) }, "kafka: "},
	} {
		s := c.base()
		c.spoil(&s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want %q: %v", c.want, err)
		}
	}
}

// TestPossible: what can be done to a cluster depends on what it is made of.
func TestPossible(t *testing.T) {
	for _, c := range []struct {
		local   Local
		kind    nemesis.Kind
		allowed bool
	}{
		{Local{Nodes: 3, Brokers: 3, History: Cassandra}, nemesis.StoreCut, true},
		{Local{Nodes: 3, Brokers: 3, History: NoStore}, nemesis.StoreCut, false},
		{Local{Nodes: 1, Brokers: 1, History: Pebble}, nemesis.NodeKill, true},
		{Local{Nodes: 1, Brokers: 1, History: Pebble}, nemesis.Move, false},
		{Local{Nodes: 3, Brokers: 1, History: NoStore}, nemesis.BrokerKill, true},
		{Local{Nodes: 3, Brokers: 3, History: Cassandra}, nemesis.LeaderMove, true},
		{Local{Nodes: 3, Brokers: 1, History: Cassandra}, nemesis.LeaderMove, false},
		{Local{Nodes: 1, Brokers: 1, History: Cassandra}, nemesis.DiskFull, false},
		{Local{Nodes: 1, Brokers: 1, History: Pebble}, nemesis.DiskFull, world.Mountable() == nil},
	} {
		s := Settings{Local: &c.local, Rate: 100, Duration: time.Minute}
		if got := slices.Contains(s.Possible(nemesis.Kinds()), c.kind); got != c.allowed {
			t.Errorf("%s to %v: possible is %v", c.kind, &c.local, got)
		}
	}
}

// TestNoDisk: a load for which a disk in memory would be too large does not have one.
func TestNoDisk(t *testing.T) {
	s := small()
	s.Local = &Local{Nodes: 1, Brokers: 1, History: Pebble, Faults: []nemesis.Kind{nemesis.DiskFull, nemesis.NodeKill}, Binary: "/godwit", Root: "/root"}
	s.Rate, s.Duration = 500, time.Hour
	if got := s.Possible(s.Local.Faults); !slices.Equal(got, []nemesis.Kind{nemesis.NodeKill}) {
		t.Errorf("possible are %v", got)
	}
	if err := s.Validate(); err == nil || !strings.Contains(err.Error(), "need a disk of 14574 MiB") {
		t.Error(err)
	}
}

func TestChecks(t *testing.T) {
	s := small()
	if o := s.checks(&local{settings: &s}); o.MinAcks != 750 || o.MinFaults != 0 || !slices.Equal(o.Without, []string{"stored_in_history"}) {
		t.Errorf("without faults and history: %+v", o)
	}
	s.Local.History, s.Local.Faults, s.Rate = Cassandra, []nemesis.Kind{nemesis.NodeKill}, 1000
	if o := s.checks(&local{settings: &s}); o.MinAcks != 1000 || o.MinFaults != 1 || len(o.Without) != 0 {
		t.Errorf("with both: %+v", o)
	}
	if s.Rate = 0.1; s.checks(&local{settings: &s}).MinAcks != leastAcks {
		t.Errorf("of a load that sends hardly anything: %+v", s.checks(&local{settings: &s}))
	}
	s = other()
	s.Remote.History = true
	if o := s.checks(&remote{Remote: s.Remote}); o.MinFaults != 0 || !slices.Equal(o.Without, []string{"conservation"}) {
		t.Errorf("of another cluster: %+v", o)
	}
}

// TestTail: pages come from the store where there is one, and only from memory where there is
// none.
func TestTail(t *testing.T) {
	for store, want := range map[Store]bool{NoStore: false, Pebble: true, Cassandra: true} {
		l := Local{Nodes: 1, Brokers: 1, History: store}
		if got := slices.Contains(l.world("/folder").NodeFlags, "--limits-tail-bytes"); got != want {
			t.Errorf("%s: the tail is small: %v", store, got)
		}
	}
}
