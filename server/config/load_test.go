package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/godwit-im/godwit/server/config"
	"github.com/godwit-im/godwit/server/placement"
)

// base is Default with the one setting that has no default.
func base() config.Config {
	c := config.Default()
	c.Token.KeyFile = "token.key"
	return c
}

// load loads settings from a file with this text ("" for no file), from
// variables and from arguments.
func load(t *testing.T, file string, environ []string, args ...string) (*config.Config, error) {
	t.Helper()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.AddFlags(flags, base())
	if file != "" {
		args = append(args, "--config", writeFile(t, file))
	}
	if err := flags.Parse(args); err != nil {
		t.Fatalf("flags %q: %v", args, err)
	}
	return config.Load(base(), environ, flags)
}

// writeFile writes a file of settings and returns its path. The tests run in a
// folder of their own, so that messages with the path are the same everywhere.
func writeFile(t *testing.T, text string) string {
	t.Helper()
	t.Chdir(t.TempDir())
	const path = "godwit.yaml"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLaterSourcesWin(t *testing.T) {
	const file = "limits: {queue_messages: 10, in_flight: 10, sends_per_second: 10}"
	environ := []string{"GODWIT_LIMITS_IN_FLIGHT=20", "GODWIT_LIMITS_SENDS_PER_SECOND=20"}
	c, err := load(t, file, environ, "--limits-sends-per-second=30")
	if err != nil {
		t.Fatal(err)
	}
	want := base()
	want.Limits.QueueMessages = 10
	want.Limits.InFlight = 20
	want.Limits.SendsPerSecond = 30
	if c.Limits != want.Limits {
		t.Errorf("limits are\n%+v, want\n%+v", c.Limits, want.Limits)
	}
}

// TestCluster: a node of a cluster owns what the others agree to.
func TestCluster(t *testing.T) {
	c, err := load(t, "", []string{"GODWIT_CLUSTER_ENABLED=true"}, "--token-key-file=key")
	if err != nil {
		t.Fatal(err)
	}
	if !c.Cluster.Enabled || c.Partitions != nil || c.Cluster.Role != config.RoleActive || c.Cluster.Weight != 1 {
		t.Errorf("cluster is %+v, partitions %v", c.Cluster, c.Partitions)
	}
}

func TestEverySettingFromEverySource(t *testing.T) {
	// Each setting with a value that is not its default, as text; but for cluster.enabled,
	// with which others must be left out: see TestCluster.
	values := map[string]string{
		"node": "n7", "listen": "0.0.0.0:9000", "advertise": "wss://chat.example.org/ws", "admin": "0.0.0.0:9001", "admin_token_file": "admin.token",
		"kafka.brokers": "k1:9092,k2:9092", "kafka.namespace": "chat", "kafka.generation": "3", "kafka.linger": "2ms", "kafka.compression": "lz4", "kafka.partitions": "360",
		"kafka.tls.enabled": "true", "kafka.tls.ca_file": "ca.pem", "kafka.tls.cert_file": "cert.pem", "kafka.tls.key_file": "cert.key",
		"kafka.sasl.mechanism": "SCRAM-SHA-512", "kafka.sasl.user": "godwit", "kafka.sasl.password_file": "password",
		"partitions": "0-359", "map_version": "12",
		"cluster.enabled": "false", "cluster.role": "standby", "cluster.weight": "3", "cluster.admin_url": "http://n7:9001",
		"history.store": "cassandra", "history.folder": "/var/lib/godwit", "history.retention": "48h0m0s",
		"history.cassandra.hosts": "c1,c2:9043", "history.cassandra.keyspace": "chat", "history.cassandra.datacenter": "dc1", "history.cassandra.consistency": "QUORUM",
		"history.cassandra.replication": "2", "history.cassandra.user": "godwit", "history.cassandra.password_file": "password",
		"history.cassandra.tls.enabled": "true", "history.cassandra.tls.ca_file": "cca.pem", "history.cassandra.tls.cert_file": "ccert.pem", "history.cassandra.tls.key_file": "ccert.key",
		"token.algorithm": "EdDSA", "token.key_file": "pub.pem", "token.issuer": "login", "token.audience": "chat",
		"limits.connections": "5000", "limits.body_bytes": "32KiB", "limits.queue_messages": "64", "limits.queue_bytes": "2MiB", "limits.in_flight": "32",
		"limits.sends_per_second": "5", "limits.sends_burst": "9", "limits.upgrade_timeout": "20s", "limits.heartbeat": "30s", "limits.idle": "2m0s",
		"limits.node_frame_bytes": "1GiB", "limits.tail_bytes": "64MiB", "limits.producer_records": "1000", "limits.producer_bytes": "32MiB",
		"loops": "3", "fd_tables": "per-loop", "workers": "5", "unsafe": "true", "log.level": "debug", "log.format": "json",
	}
	want := config.Config{
		Node: "n7", Listen: "0.0.0.0:9000", Advertise: "wss://chat.example.org/ws", Admin: "0.0.0.0:9001", AdminTokenFile: "admin.token",
		Kafka: config.Kafka{
			Brokers: []string{"k1:9092", "k2:9092"}, Namespace: "chat", Generation: 3, Partitions: 360, Linger: 2 * time.Millisecond, Compression: "lz4",
			TLS:  config.TLS{Enabled: true, CAFile: "ca.pem", CertFile: "cert.pem", KeyFile: "cert.key"},
			SASL: config.SASL{Mechanism: "SCRAM-SHA-512", User: "godwit", PasswordFile: "password"},
		},
		Partitions: placement.All(360), MapVersion: 12,
		Cluster: config.Cluster{Role: "standby", Weight: 3, AdminURL: "http://n7:9001"},
		History: config.History{Store: "cassandra", Folder: "/var/lib/godwit", Retention: 48 * time.Hour, Cassandra: config.Cassandra{
			Hosts: []string{"c1", "c2:9043"}, Keyspace: "chat", Datacenter: "dc1", Consistency: "QUORUM", Replication: 2, User: "godwit", PasswordFile: "password",
			TLS: config.TLS{Enabled: true, CAFile: "cca.pem", CertFile: "ccert.pem", KeyFile: "ccert.key"},
		}},
		Token: config.Token{Algorithm: "EdDSA", KeyFile: "pub.pem", Issuer: "login", Audience: "chat"},
		Limits: config.Limits{
			Connections: 5000, BodyBytes: 32 << 10, QueueMessages: 64, QueueBytes: 2 << 20, InFlight: 32,
			SendsPerSecond: 5, SendsBurst: 9, UpgradeTimeout: 20 * time.Second, Heartbeat: 30 * time.Second, Idle: 2 * time.Minute,
			NodeFrameBytes: 1 << 30, TailBytes: 64 << 20, ProducerRecords: 1000, ProducerBytes: 32 << 20,
		},
		Loops: 3, FDTables: "per-loop", Workers: 5, Unsafe: true, Log: config.Log{Level: "debug", Format: "json"},
	}
	leaves := 0
	countLeaves(reflect.TypeFor[config.Config](), &leaves)
	if leaves-1 != len(values) { // Config.Map is the one that is not in the table
		t.Errorf("Config has %d settings, and this test %d", leaves-1, len(values))
	}

	var environ, args []string
	for _, key := range sortedKeys(values) {
		environ = append(environ, "GODWIT_"+strings.ToUpper(strings.ReplaceAll(key, ".", "_"))+"="+values[key])
		args = append(args, "--"+strings.NewReplacer(".", "-", "_", "-").Replace(key)+"="+values[key])
	}
	file := new(strings.Builder)
	writeSection(file, values, "")
	for _, source := range []struct {
		name    string
		file    string
		environ []string
		args    []string
	}{
		{name: "file", file: file.String()},
		{name: "environment", environ: environ},
		{name: "flags", args: args},
	} {
		t.Run(source.name, func(t *testing.T) {
			c, err := load(t, source.file, source.environ, source.args...)
			if err != nil {
				t.Fatalf("%v\nfile:\n%s", err, source.file)
			}
			if !reflect.DeepEqual(*c, want) {
				t.Errorf("loaded\n%+v, want\n%+v", *c, want)
			}
		})
	}
}

// writeSection writes the settings below a prefix as YAML.
func writeSection(file *strings.Builder, values map[string]string, prefix string) {
	indent := strings.Repeat("  ", strings.Count(prefix, "."))
	written := map[string]bool{}
	for _, key := range sortedKeys(values) {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok {
			continue
		}
		name, _, nested := strings.Cut(rest, ".")
		if written[name] {
			continue
		}
		written[name] = true
		if !nested {
			fmt.Fprintf(file, "%s%s: %s\n", indent, name, values[key])
			continue
		}
		fmt.Fprintf(file, "%s%s:\n", indent, name)
		writeSection(file, values, prefix+name+".")
	}
}

func countLeaves(typ reflect.Type, n *int) {
	for i := range typ.NumField() {
		if f := typ.Field(i).Type; f.Kind() == reflect.Struct {
			countLeaves(f, n)
		} else {
			*n++
		}
	}
}

func TestLists(t *testing.T) {
	c, err := load(t, "kafka:\n  brokers: [k1:9092, k2:9092]\n  partitions: 8\npartitions: [0-3, 4, 5-7]\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.Kafka.Brokers, " "); got != "k1:9092 k2:9092" {
		t.Errorf("brokers are %q", got)
	}
	if got := c.Partitions.String(); got != "0-7" {
		t.Errorf("partitions are %q", got)
	}
}

func TestFileNamedByVariable(t *testing.T) {
	path := writeFile(t, "node: from-file")
	c, err := config.Load(base(), []string{"GODWIT_CONFIG=" + path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Node != "from-file" {
		t.Errorf("node is %q", c.Node)
	}
	// The flag wins.
	other := filepath.Join(t.TempDir(), "other.yaml")
	if err := os.WriteFile(other, []byte("node: from-flag"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err = load(t, "", []string{"GODWIT_CONFIG=" + path}, "--config", other); err != nil {
		t.Fatal(err)
	}
	if c.Node != "from-flag" {
		t.Errorf("node is %q", c.Node)
	}
}

func TestVariablesOfTestsAreNoSettings(t *testing.T) {
	if _, err := load(t, "", []string{"GODWIT_REQUIRE_SERVICES=1", "GODWIT_CASSANDRA_HOSTS=c1", "GODWIT_CACHE=/tmp/cache", "PATH=/bin"}); err != nil {
		t.Error(err)
	}
}

func TestMistakesInSources(t *testing.T) {
	for _, test := range []struct {
		name    string
		file    string
		environ []string
		want    string // the whole message
	}{
		{"unknown key", "limits:\n  queue_mesages: 5\n", nil,
			`godwit.yaml: no setting has the name "limits.queue_mesages"`},
		{"unknown section", "kafak:\n  brokers: k1:9092\n", nil,
			`godwit.yaml: no setting has the name "kafak"`},
		{"dotted key", "limits.queue_messages: 5\n", nil,
			`godwit.yaml: no setting has the name "limits.queue_messages"`},
		{"value for a section", "limits: 5\n", nil,
			`godwit.yaml: limits is "5": must hold settings of its own, not a value`},
		{"section for a value", "node:\n  name: x\n", nil,
			`godwit.yaml: node is "map[name:x]": must be one plain value`},
		{"no value", "node:\n", nil,
			`godwit.yaml: node is "": has no value: leave the line out for the default`},
		{"list for a value", "listen: [a, b]\n", nil,
			`godwit.yaml: listen is "[a b]": must be one plain value`},
		{"key twice", "node: a\nnode: b\n", nil,
			"godwit.yaml: the file of settings cannot be read: yaml: unmarshal errors:\n" +
				`  line 2: mapping key "node" already defined at line 1`},
		{"not YAML", "node: [", nil,
			"godwit.yaml: the file of settings cannot be read: yaml: line 1: did not find expected node content"},
		{"number", "loops: many\n", nil,
			`godwit.yaml: loops is "many": must be a whole number, 0 or above`},
		{"negative", "loops: -1\n", nil,
			`godwit.yaml: loops is "-1": must be a whole number, 0 or above`},
		{"too large a number", "kafka:\n  generation: 4294967296\n", nil,
			`godwit.yaml: kafka.generation is "4294967296": must be at most 4294967295`},
		{"duration without unit", "limits:\n  idle: 60\n", nil,
			`godwit.yaml: limits.idle is "60": must be a duration with its unit, such as "10s" or "1m30s"`},
		{"size", "limits:\n  queue_bytes: 1MB\n", nil,
			`godwit.yaml: limits.queue_bytes is "1MB": must be a number of bytes such as 65536, "64KiB" or "1MiB"`},
		{"bool", "unsafe: maybe\n", nil,
			`godwit.yaml: unsafe is "maybe": must be true or false`},
		{"partitions", "partitions: 5-\n", nil,
			`godwit.yaml: partitions is "5-": "5-" is not a partition such as "200" or a run such as "0-127"`},
		{"map", "map: n2\n", nil,
			`godwit.yaml: map is "n2": must be a list of nodes, each with node, url and partitions`},
		{"map entry", "map: [n2]\n", nil,
			`godwit.yaml: map[0] is "n2": must have node, url and partitions`},
		{"map field", "map:\n  - {node: n2, url: 'ws://n2', partition: 1}\n", nil,
			`godwit.yaml: no setting has the name "map[0].partition"`},
		{"variable", "", []string{"GODWIT_LOOPS=many"},
			`GODWIT_LOOPS: loops is "many": must be a whole number, 0 or above`},
		{"empty variable", "", []string{"GODWIT_LOOPS="},
			`GODWIT_LOOPS: loops is "": must be a whole number, 0 or above`},
		{"unknown variable", "", []string{"GODWIT_LIMITS_QUEUE=5"},
			`GODWIT_LIMITS_QUEUE: no setting has this variable`},
		{"map by variable", "", []string{"GODWIT_MAP=n2"},
			`GODWIT_MAP: the map of nodes stands in the file of settings only`},
		{"all at once", "loops: a\nnoed: x\n", []string{"GODWIT_WORKERS=b"},
			"godwit.yaml: loops is \"a\": must be a whole number, 0 or above\n" +
				"godwit.yaml: no setting has the name \"noed\"\n" +
				`GODWIT_WORKERS: workers is "b": must be a whole number, 0 or above`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := load(t, test.file, test.environ)
			if err == nil {
				t.Fatalf("loaded, want\n%s", test.want)
			}
			if err.Error() != test.want {
				t.Errorf("error is\n%s, want\n%s", err, test.want)
			}
		})
	}
}

func TestMissingFile(t *testing.T) {
	_, err := load(t, "", nil, "--config", "absent.yaml")
	const want = "absent.yaml: the file of settings cannot be read: open absent.yaml: no such file or directory"
	if err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
}

func TestFlagsAreCheckedAsTheyAreParsed(t *testing.T) {
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.AddFlags(flags, config.Default())
	err := flags.Parse([]string{"--limits-queue-bytes=lots"})
	const want = `invalid argument "lots" for "--limits-queue-bytes" flag: must be a number of bytes such as 65536, "64KiB" or "1MiB"`
	if err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
	if err := flags.Parse([]string{"--unsafe"}); err != nil {
		t.Errorf("a bool flag without a value: %v", err)
	}
}

func TestLoadLeavesBaseAlone(t *testing.T) {
	b := base()
	b.Map = []config.Peer{{Node: "n2", URL: "ws://n2:8080", Partitions: placement.Ranges{{First: 512, Last: 1023}}}}
	b.Partitions = placement.Ranges{{First: 0, Last: 511}}
	if _, err := config.Load(b, []string{"GODWIT_KAFKA_BROKERS=k1:1"}, nil); err != nil {
		t.Fatal(err)
	}
	if got := b.Map[0].URL; got != "ws://n2:8080" {
		t.Errorf("the URL in base became %q", got)
	}
	if got := b.Kafka.Brokers[0]; got != "127.0.0.1:9092" {
		t.Errorf("the broker in base became %q", got)
	}
}
