package config_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/server/config"
)

func TestAdvertiseFollowsListen(t *testing.T) {
	for _, test := range []struct{ listen, advertise, want string }{
		{"127.0.0.1:8080", "", "ws://127.0.0.1:8080/v1/connect"},
		{"[::1]:8080", "", "ws://[::1]:8080/v1/connect"},
		{"box:80", "", "ws://box:80/v1/connect"},
		{"127.0.0.1:0", "", ""}, // the listener will know
		{":8080", "wss://chat.example.org", "wss://chat.example.org/v1/connect"},
		{":8080", "wss://chat.example.org/", "wss://chat.example.org/"},
		{":8080", "wss://chat.example.org/ws", "wss://chat.example.org/ws"},
	} {
		b := base()
		b.Listen, b.Advertise = test.listen, test.advertise
		c, err := config.Load(b, nil, nil)
		if err != nil {
			t.Errorf("listen %q, advertise %q: %v", test.listen, test.advertise, err)
		} else if c.Advertise != test.want {
			t.Errorf("listen %q, advertise %q: became %q, want %q", test.listen, test.advertise, c.Advertise, test.want)
		}
	}
}

// shared is a file that all nodes of a cluster can have.
const shared = `
kafka: {partitions: 8}
map_version: 4
map:
  - {node: n1, url: "ws://n1:8080", partitions: "0-3,6"}
  - {node: n2, url: "ws://n2:8080/chat", partitions: 4-5}
  - {node: n3, url: "ws://n3:8080", partitions: 7}
`

func TestNodesShareAFile(t *testing.T) {
	for _, test := range []struct{ node, advertise, partitions string }{
		{"n1", "ws://n1:8080/v1/connect", "0-3,6"},
		{"n2", "ws://n2:8080/chat", "4-5"},
		{"n3", "ws://n3:8080/v1/connect", "7"},
	} {
		c, err := load(t, shared, []string{"GODWIT_NODE=" + test.node, "GODWIT_LISTEN=:8080"})
		if err != nil {
			t.Fatalf("%s: %v", test.node, err)
		}
		if c.Advertise != test.advertise || c.Partitions.String() != test.partitions {
			t.Errorf("%s has %q and %q, want %q and %q", test.node, c.Advertise, c.Partitions, test.advertise, test.partitions)
		}
		m, err := c.Placement()
		if err != nil {
			t.Fatal(err)
		}
		if m.Self() != test.node || m.Version() != 4 || m.N() != 8 || len(m.Nodes()) != 3 {
			t.Errorf("%s: the map is of %s, version %d, %d partitions, nodes %v", test.node, m.Self(), m.Version(), m.N(), m.Nodes())
		}
		if node, url := m.Owner(5); node != "n2" || url != "ws://n2:8080/chat" {
			t.Errorf("%s: partition 5 belongs to %s at %s", test.node, node, url)
		}
	}
}

func TestOwnSettingsMustAgreeWithTheMap(t *testing.T) {
	_, err := load(t, shared, []string{"GODWIT_NODE=n2", "GODWIT_PARTITIONS=4", "GODWIT_ADVERTISE=ws://other:8080"})
	want := `advertise is "ws://other:8080/v1/connect": must be left out or agree with the map, where the url of node "n2" is "ws://n2:8080/chat"` + "\n" +
		`partitions is "4": must be left out or agree with the map, where the partitions of node "n2" are "4-5"`
	if err == nil || err.Error() != want {
		t.Errorf("error is\n%v, want\n%s", err, want)
	}
}

func TestStandbyOwnsNothing(t *testing.T) {
	c, err := load(t, shared, []string{"GODWIT_NODE=spare"})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Partitions) != 0 {
		t.Errorf("partitions are %q, want none", c.Partitions)
	}
}

func TestMistakesInTheMap(t *testing.T) {
	for _, test := range []struct{ name, file, want string }{
		{"overlap", "kafka: {partitions: 8}\npartitions: 0-4\nmap:\n  - {node: n2, url: 'ws://n2:1', partitions: 3-7}\n",
			`partitions is "0-4": both "node-1" and "n2" own partitions 3-4: every partition has exactly one owner (kafka.partitions is 8, and map has 1 nodes)`},
		{"unowned and outside", "kafka: {partitions: 8}\npartitions: 0-4\nmap:\n  - {node: n2, url: 'ws://n2:1', partitions: 6-8}\n",
			`partitions is "0-4": "n2" owns partitions 8: with 8 partitions the last one is 7 (kafka.partitions is 8, and map has 1 nodes)` + "\n" +
				`partitions is "0-4": no node owns partitions 5: every partition has exactly one owner (kafka.partitions is 8, and map has 1 nodes)`},
		{"twice", "kafka: {partitions: 8}\npartitions: 0-3\nmap:\n  - {node: n2, url: 'ws://n2:1', partitions: 4-5}\n  - {node: n2, url: 'ws://n2:2', partitions: 6-7}\n",
			`partitions is "0-3": node "n2" is named twice (kafka.partitions is 8, and map has 2 nodes)`},
		{"fields", "partitions: 0-3\nmap:\n  - {partitions: 4-5}\n",
			`map[0].node is "": must be 1 to 64 of the characters a-z, A-Z, 0-9, ".", "_" and "-"` + "\n" +
				`map[0].url is "": must be a ws or wss URL, such as "ws://chat.example.org:8080/v1/connect"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := load(t, test.file, nil)
			if err == nil || err.Error() != test.want {
				t.Errorf("error is\n%v, want\n%s", err, test.want)
			}
		})
	}
}

func TestEffectiveLoadsBackToTheSame(t *testing.T) {
	for _, test := range []struct {
		name    string
		file    string
		environ []string
	}{
		{name: "defaults"},
		{name: "cluster", file: shared, environ: []string{"GODWIT_NODE=n3", "GODWIT_UNSAFE=true", "GODWIT_LIMITS_IDLE=90s"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			first, err := load(t, test.file, test.environ)
			if err != nil {
				t.Fatal(err)
			}
			text, err := first.Effective()
			if err != nil {
				t.Fatal(err)
			}
			second, err := config.Load(config.Config{}, []string{"GODWIT_CONFIG=" + writeFile(t, string(text))}, nil)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if !reflect.DeepEqual(first, second) {
				t.Errorf("loaded back\n%+v, want\n%+v", second, first)
			}
		})
	}
}

func TestEffectiveShowsUnits(t *testing.T) {
	c, err := load(t, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := c.Effective()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"  body_bytes: 64KiB\n", "  heartbeat: 0s\n", "  brokers: ['127.0.0.1:9092']\n", "partitions: 0-1023\n"} {
		if !strings.Contains(string(text), line) {
			t.Errorf("%q is missing in\n%s", line, text)
		}
	}
}
