package structure

// ranks is the order of the packages: each may import only those of a lower
// rank, in code that is not a test. So imports run downwards, and cannot form a
// circle. A package that is not here fails the tests: whoever adds one decides
// where it stands.
var ranks = map[string]int{
	// What a message is, and where it lives.
	"backplane": 0,

	// Where buffers come from.
	"codec/buffer": 0,

	// Programs that are run, and those that tests run.
	"tools/kafka":       0,
	"tools/process":     0,
	"tools/processtest": 1,

	// Bytes in, bytes out; and structures that know nothing of messages.
	"backplane/spread": 1,
	"codec/godwitpb":   1,
	"codec/ws":         1,
	"registry":         1,
	"registry/ring":    1,
	"server/auth":      1,

	// What a cluster agrees on, without IO.
	"backplane/cluster":         1,
	"backplane/cluster/beats":   2,
	"backplane/cluster/control": 3,

	// The wire protocol, the log, the settings.
	"backplane/history": 2,
	"backplane/kafka":   2,
	"codec":             2,
	"server/placement":  2,
	"server/config":     3,

	// A cluster's records in the log.
	"backplane/cluster/kafkalog": 3,

	// A cluster without a log, for tests of what looks at one.
	"server/admin/clustertest": 4,

	// The log for one node and for tests.
	"backplane/embedded":  4,
	"backplane/kafkatest": 5,

	// Timelines: the stores, and the tests that all of them pass.
	"backplane/history/cassandra":     3,
	"backplane/history/cassandratest": 4,
	"backplane/history/historytest":   3,
	"backplane/history/pebble":        3,

	// A node, from the inside out.
	"server/tail":      3,
	"server/historian": 4,
	"server/timeline":  4,
	"server/delivery":  4,
	"server/session":   5,
	"server/reactor":   6,
	"server/admin":     6,
	"server/agent":     6,
	"server":           7,

	// The other end of the wire.
	"tools/client": 7,

	// What uses a node.
	"bench":             8,
	"bench/load":        9,
	"bench/report":      9,
	"tools/web":         8,
	"tools/e2e":         8,
	"tools/e2e/foreign": 8,
	"tools/structure":   8,
	"tools/godwit":      10,

	// What verifies a cluster from outside. It shares no code with the server.
	"tools/verify/event":   0,
	"tools/verify/check":   1,
	"tools/verify/wire":    1,
	"tools/verify/proxy":   0,
	"tools/verify/metrics": 0,
	"tools/verify/nemesis": 2,
	"tools/verify/report":  2,
	"tools/verify/world":   1,
	"tools/verify/rawlog":  2,
	"tools/verify/run":     9,

	// What shows that it can fail.
	"tools/verify/mutation":           1,
	"tools/verify/mutation/mutations": 2,

	// It does use the Go client.
	"tools/verify/workload": 8,
}

// forTests are the packages that serve tests. Only tests, and other such packages,
// may import them.
var forTests = map[string]bool{
	"backplane/history/cassandratest": true,
	"backplane/history/historytest":   true,
	"backplane/kafkatest":             true,
	"server/admin/clustertest":        true,
	"tools/processtest":               true,
}

// owners are the modules that only some packages may know, tests included: all
// that the rest knows of them goes through those packages.
var owners = []struct {
	module   string
	packages map[string]bool
	tests    bool // whether tests of other packages may import it
}{
	{"github.com/twmb/franz-go", set("backplane/kafka", "backplane/embedded", "backplane/kafkatest", "backplane/cluster/kafkalog", "tools/verify/rawlog", "tools/verify/world"), false},
	{"github.com/panjf2000/gnet", set("server/reactor"), false},
	{"github.com/cockroachdb/pebble", set("backplane/history/pebble", "bench"), false},
	{"github.com/apache/cassandra-gocql-driver", set("backplane/history/cassandra", "backplane/history/cassandratest", "bench"), false},
	{"github.com/hashicorp/go-memdb", set("backplane/cluster"), false},
	{"github.com/knadh/koanf", set("server/config"), false},
	{"github.com/golang-jwt/jwt", set("server/auth"), true},
	{"github.com/spf13/cobra", set("tools/godwit"), false},
}

// pure are the packages of protocol code: they take bytes and events and return
// bytes and effects. They open nothing, start no goroutine and read no clock, so
// that tests and simulations can drive every step of them.
var pure = set("backplane", "backplane/cluster", "backplane/cluster/beats", "backplane/cluster/control",
	"codec", "codec/ws", "registry/ring", "server/placement", "server/session",
	"tools/verify/event", "tools/verify/check")

func set(members ...string) map[string]bool {
	m := make(map[string]bool, len(members))
	for _, member := range members {
		m[member] = true
	}
	return m
}
