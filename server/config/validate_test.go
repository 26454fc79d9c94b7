package config_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/server/config"
	"github.com/godwit-im/godwit/server/placement"
)

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

func ranges(t *testing.T, text string) placement.Ranges {
	t.Helper()
	r, err := placement.ParseRanges(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// inCluster makes the node one of a cluster, which says what it owns.
func inCluster(c *config.Config) { c.Cluster.Enabled, c.Partitions = true, nil }

func TestValidateMessages(t *testing.T) {
	for _, test := range []struct {
		name  string
		wrong func(c *config.Config)
		want  string // the whole message
	}{
		{"node", func(c *config.Config) { c.Node = "node one" },
			`node is "node one": must be 1 to 64 of the characters a-z, A-Z, 0-9, ".", "_" and "-"`},
		{"listen", func(c *config.Config) { c.Listen = "8080" },
			`listen is "8080": must be host:port, such as "127.0.0.1:8080"`},
		{"listen port", func(c *config.Config) { c.Listen = "127.0.0.1:http" },
			`listen is "127.0.0.1:http": must be host:port, such as "127.0.0.1:8080"`},
		{"advertise needed", func(c *config.Config) { c.Listen = ":8080" },
			`advertise is "": must be the URL that clients reach this node by, such as "ws://chat.example.org:8080/v1/connect", because listen is ":8080": all addresses of this machine`},
		{"advertise scheme", func(c *config.Config) { c.Advertise = "http://chat.example.org/v1/connect" },
			`advertise is "http://chat.example.org/v1/connect": must be a ws or wss URL, such as "ws://chat.example.org:8080/v1/connect"`},
		{"advertise without host", func(c *config.Config) { c.Advertise = "ws://:8080/v1/connect" },
			`advertise is "ws://:8080/v1/connect": must be a ws or wss URL, such as "ws://chat.example.org:8080/v1/connect"`},
		{"advertise with password", func(c *config.Config) { c.Advertise = "ws://u:secret@chat.example.org/ws" },
			`advertise is "ws://u:xxxxx@chat.example.org/ws": must hold no user and no password: it is shown to every client`},
		{"advertise with query", func(c *config.Config) { c.Advertise = "ws://chat.example.org/ws?a=b" },
			`advertise is "ws://chat.example.org/ws?a=b": must end with its path: clients add parameters of their own after a "?"`},
		{"admin token", func(c *config.Config) { c.Admin = "0.0.0.0:8081" },
			`admin_token_file is "": must name a file with a token, because admin is "0.0.0.0:8081", which is not a loopback address`},
		{"admin token for a name", func(c *config.Config) { c.Admin = "box.example.org:8081" },
			`admin_token_file is "": must name a file with a token, because admin is "box.example.org:8081", which is not a loopback address`},
		{"one port for both", func(c *config.Config) { c.Admin = c.Listen },
			`admin is "127.0.0.1:8080": must differ from listen, which is "127.0.0.1:8080"`},
		{"no broker", func(c *config.Config) { c.Kafka.Brokers = nil },
			`kafka.brokers is "": must name at least one broker (host:port)`},
		{"broker", func(c *config.Config) { c.Kafka.Brokers = []string{"k1:9092", "k2"} },
			`kafka.brokers is "k2": must be host:port, such as "127.0.0.1:8080"`},
		{"namespace", func(c *config.Config) { c.Kafka.Namespace = "a b" },
			`kafka.namespace is "a b": must be 1 to 100 of the characters a-z, A-Z, 0-9, "." and "-", and begin with a letter or digit`},
		{"generation", func(c *config.Config) { c.Kafka.Generation = 0 },
			`kafka.generation is "0": must be 1 or above`},
		{"number of partitions", func(c *config.Config) { c.Kafka.Partitions = 10_001 },
			`kafka.partitions is "10001": must be 1 to 10000`},
		{"linger", func(c *config.Config) { c.Kafka.Linger = 2 * time.Second },
			`kafka.linger is "2s": must be 0s to 1s`},
		{"compression", func(c *config.Config) { c.Kafka.Compression = "gzip" },
			`kafka.compression is "gzip": must be one of none, snappy, lz4, zstd`},
		{"partitions missing", func(c *config.Config) { c.Partitions = ranges(t, "0-99") },
			`partitions is "0-99": no node owns partitions 100-1023: every partition has exactly one owner (kafka.partitions is 1024, and map has 0 nodes)`},
		{"partitions outside", func(c *config.Config) { c.Partitions = ranges(t, "0-1025") },
			`partitions is "0-1025": "node-1" owns partitions 1024-1025: with 1024 partitions the last one is 1023 (kafka.partitions is 1024, and map has 0 nodes)`},
		{"map version", func(c *config.Config) { c.MapVersion = 0 },
			`map_version is "0": must be 1 or above`},
		{"role", func(c *config.Config) { inCluster(c); c.Cluster.Role = "spare" },
			`cluster.role is "spare": must be one of active, standby`},
		{"weight", func(c *config.Config) { inCluster(c); c.Cluster.Weight = -1 },
			`cluster.weight is "-1": must be 0 to 10000`},
		{"partitions in a cluster", func(c *config.Config) { inCluster(c); c.Partitions = ranges(t, "0-9") },
			`partitions is "0-9": must be left out while cluster.enabled is true: the nodes share the partitions among themselves`},
		{"map in a cluster", func(c *config.Config) { inCluster(c); c.Map = []config.Peer{{Node: "n2"}} },
			`map is "1": must be left out while cluster.enabled is true: the nodes keep the map themselves`},
		{"admin URL", func(c *config.Config) { inCluster(c); c.Cluster.AdminURL = "n1:8081" },
			`cluster.admin_url is "n1:8081": must be an http or https URL, such as "http://chat.example.org:8081"`},
		{"admin URL needed", func(c *config.Config) { inCluster(c); c.Admin, c.AdminTokenFile = ":8081", "token" },
			`cluster.admin_url is "": must be the URL that operators reach the admin port by, such as "http://chat.example.org:8081", because admin is ":8081": all addresses of this machine`},
		{"pebble in a cluster", func(c *config.Config) { inCluster(c); c.History.Store, c.History.Folder = "pebble", "history" },
			`history.store is "pebble": must be "cassandra" or "none" for several nodes: the files of "pebble" belong to one node, and the others could not read what it has`},
		{"algorithm", func(c *config.Config) { c.Token.Algorithm = "none" },
			`token.algorithm is "none": must be one of HS256, RS256, ES256, EdDSA`},
		{"key file", func(c *config.Config) { c.Token.KeyFile = "" },
			`token.key_file is "": must name the file with the key that tokens are verified with`},
		{"body", func(c *config.Config) { c.Limits.BodyBytes = 65537 },
			`limits.body_bytes is "65537": must be 1 to 64KiB`},
		{"queue of messages", func(c *config.Config) { c.Limits.QueueMessages = 0 },
			`limits.queue_messages is "0": must be 1 to 65536`},
		{"queue of bytes", func(c *config.Config) { c.Limits.QueueBytes = 100 << 10 },
			`limits.queue_bytes is "100KiB": must be at least 448KiB, because limits.body_bytes is 64KiB: one message of that size may need so much in JSON`},
		{"in flight", func(c *config.Config) { c.Limits.InFlight = 20_000 },
			`limits.in_flight is "20000": must be 1 to 16384`},
		{"burst", func(c *config.Config) { c.Limits.SendsBurst = 50 },
			`limits.sends_burst is "50": must be at least limits.sends_per_second, which is 100`},
		{"upgrade", func(c *config.Config) { c.Limits.UpgradeTimeout = 0 },
			`limits.upgrade_timeout is "0s": must be 1s to 5m0s`},
		{"idle", func(c *config.Config) { c.Limits.Idle = time.Minute },
			`limits.idle is "1m0s": must be longer than limits.heartbeat, which is 1m0s`},
		{"frames", func(c *config.Config) { c.Limits.NodeFrameBytes = 1 << 19 },
			`limits.node_frame_bytes is "512KiB": must be at least limits.queue_bytes, which is 1MiB: one connection's queue must fit`},
		{"producer records", func(c *config.Config) { c.Limits.ProducerRecords = 64 },
			`limits.producer_records is "64": must be 65 to 10000000`},
		{"producer bytes", func(c *config.Config) { c.Limits.ProducerBytes = 1 << 20 },
			`limits.producer_bytes is "1MiB": must be 8MiB to 1024GiB`},
		{"files without TLS", func(c *config.Config) { c.Kafka.TLS.CAFile = "ca.pem" },
			`kafka.tls.ca_file is "ca.pem": must be left out while kafka.tls.enabled is false`},
		{"certificate without key", func(c *config.Config) { c.Kafka.TLS.Enabled = true; c.Kafka.TLS.CertFile = "cert.pem" },
			`kafka.tls.cert_file is "cert.pem": must be set together with kafka.tls.key_file, which is ""`},
		{"user without mechanism", func(c *config.Config) { c.Kafka.SASL.User = "godwit" },
			`kafka.sasl.user is "godwit": must be left out while kafka.sasl.mechanism is empty`},
		{"mechanism", func(c *config.Config) {
			c.Kafka.SASL = config.SASL{Mechanism: "GSSAPI", User: "godwit", PasswordFile: "password"}
		},
			`kafka.sasl.mechanism is "GSSAPI": must be one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512`},
		{"mechanism alone", func(c *config.Config) { c.Kafka.SASL.Mechanism = "PLAIN" },
			`kafka.sasl.user is "": must be set, because kafka.sasl.mechanism is "PLAIN"` + "\n" +
				`kafka.sasl.password_file is "": must be set, because kafka.sasl.mechanism is "PLAIN"`},
		{"descriptor tables", func(c *config.Config) { c.FDTables = "own" },
			`fd_tables is "own": must be one of shared, per-loop`},
		{"loops", func(c *config.Config) { c.Loops = 2000 },
			`loops is "2000": must be 0 to 1024`},
		{"log level", func(c *config.Config) { c.Log.Level = "trace" },
			`log.level is "trace": must be one of debug, info, warn, error`},
		{"log format", func(c *config.Config) { c.Log.Format = "xml" },
			`log.format is "xml": must be one of text, json`},
		{"several", func(c *config.Config) { c.Node = ""; c.Loops = -1; c.Log.Format = "" },
			`node is "": must be 1 to 64 of the characters a-z, A-Z, 0-9, ".", "_" and "-"` + "\n" +
				`loops is "-1": must be 0 to 1024` + "\n" +
				`log.format is "": must be one of text, json`},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := base()
			test.wrong(&b)
			_, err := config.Load(b, nil, nil)
			if err == nil {
				t.Fatalf("valid, want\n%s", test.want)
			}
			var typed *config.Error
			if !errors.As(err, &typed) {
				t.Errorf("the error is a %T", err)
			}
			if err.Error() != test.want {
				t.Errorf("error is\n%s, want\n%s", err, test.want)
			}
		})
	}
}

func TestDefaultNeedsOnlyAKey(t *testing.T) {
	c := config.Default()
	_, err := config.Load(c, nil, nil)
	var typed *config.Error
	if !errors.As(err, &typed) || len(typed.Findings) != 1 || typed.Findings[0].Setting != "token.key_file" {
		t.Errorf("error is %v, want one about token.key_file", err)
	}
}

func TestValidAddresses(t *testing.T) {
	for _, admin := range []string{"127.0.0.1:8081", "[::1]:8081", "localhost:8081", "127.0.0.2:0"} {
		b := base()
		b.Admin = admin
		if _, err := config.Load(b, nil, nil); err != nil {
			t.Errorf("admin %q: %v", admin, err)
		}
	}
}
