package config

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/godwit-im/godwit/server/placement"
)

// setting ties a key to its place in a Config. Every source goes through the
// same parser, so a value means the same wherever it is set.
type setting struct {
	key   string // as in the file, with dots between the levels
	usage string // one line for --help
	// value returns the place in c as something that can be set from text.
	value func(c *Config) pflag.Value
	list  bool // a YAML list of scalars stands for its members joined by commas
}

// settings lists every setting but the map, which is a list of nodes and
// stands in the file only. The order is that of --help and of findings.
var settings = []setting{
	{key: "node", usage: "name of this node",
		value: func(c *Config) pflag.Value { return textValue(&c.Node) }},
	{key: "listen", usage: "address that clients connect to (host:port)",
		value: func(c *Config) pflag.Value { return textValue(&c.Listen) }},
	{key: "advertise", usage: "ws or wss URL that clients and other nodes reach this node by (default: made from listen)",
		value: func(c *Config) pflag.Value { return textValue(&c.Advertise) }},
	{key: "admin", usage: "address of the admin port (host:port)",
		value: func(c *Config) pflag.Value { return textValue(&c.Admin) }},
	{key: "admin_token_file", usage: "file with the token that the admin port asks for; needed when admin is not loopback",
		value: func(c *Config) pflag.Value { return textValue(&c.AdminTokenFile) }},

	{key: "kafka.brokers", usage: "Kafka brokers to start from (host:port,...)", list: true,
		value: func(c *Config) pflag.Value { return listValue(&c.Kafka.Brokers) }},
	{key: "kafka.namespace", usage: "first part of the topics' names",
		value: func(c *Config) pflag.Value { return textValue(&c.Kafka.Namespace) }},
	{key: "kafka.generation", usage: "generation of the messages topic",
		value: func(c *Config) pflag.Value { return numberValue(&c.Kafka.Generation, 32) }},
	{key: "kafka.partitions", usage: "number of partitions of this generation",
		value: func(c *Config) pflag.Value { return numberValue(&c.Kafka.Partitions, 31) }},
	{key: "kafka.linger", usage: "time that a record may wait for others of its partition, to be sent with them",
		value: func(c *Config) pflag.Value { return durationValue(&c.Kafka.Linger) }},
	{key: "kafka.compression", usage: "compression of what this node sends to Kafka: none, snappy, lz4 or zstd",
		value: func(c *Config) pflag.Value { return textValue(&c.Kafka.Compression) }},
	{key: "kafka.tls.enabled", usage: "speak TLS to the brokers",
		value: func(c *Config) pflag.Value { return boolValue(&c.Kafka.TLS.Enabled) }},
	{key: "kafka.tls.ca_file", usage: "certificates of the authorities that the brokers' are signed by (default: the system's)",
		value: func(c *Config) pflag.Value { return textValue(&c.Kafka.TLS.CAFile) }},
	{key: "kafka.tls.cert_file", usage: "certificate of this node, for brokers that ask for one",
		value: func(c *Config) pflag.Value { return textValue(&c.Kafka.TLS.CertFile) }},
	{key: "kafka.tls.key_file", usage: "private key of this node's certificate",
		value: func(c *Config) pflag.Value { return textValue(&c.Kafka.TLS.KeyFile) }},
	{key: "kafka.sasl.mechanism", usage: "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512 (default: none)",
		value: func(c *Config) pflag.Value { return textValue(&c.Kafka.SASL.Mechanism) }},
	{key: "kafka.sasl.user", usage: "name of this node's user at the brokers",
		value: func(c *Config) pflag.Value { return textValue(&c.Kafka.SASL.User) }},
	{key: "kafka.sasl.password_file", usage: "file with that user's password",
		value: func(c *Config) pflag.Value { return textValue(&c.Kafka.SASL.PasswordFile) }},

	{key: "partitions", usage: `partitions that this node owns, such as "0-127,200" (default: all, or what the map says)`, list: true,
		value: func(c *Config) pflag.Value {
			return &parsed[placement.Ranges]{&c.Partitions, "partitions", placement.ParseRanges, placement.Ranges.String}
		}},
	{key: "map_version", usage: "version of the map of partitions to nodes; to be raised with every change of it",
		value: func(c *Config) pflag.Value { return numberValue(&c.MapVersion, 53) }},

	{key: "cluster.enabled", usage: "share the partitions with other nodes of the namespace, which keep a map of them in Kafka",
		value: func(c *Config) pflag.Value { return boolValue(&c.Cluster.Enabled) }},
	{key: "cluster.role", usage: "what a new node is: active, or a standby for one that fails",
		value: func(c *Config) pflag.Value { return textValue(&c.Cluster.Role) }},
	{key: "cluster.weight", usage: "the node's share of the partitions, in proportion to the others' weights",
		value: func(c *Config) pflag.Value { return numberValue(&c.Cluster.Weight, 31) }},
	{key: "cluster.admin_url", usage: "URL that operators reach the admin port by (default: made from admin)",
		value: func(c *Config) pflag.Value { return textValue(&c.Cluster.AdminURL) }},

	{key: "history.store", usage: "where timelines are kept: none, pebble (a folder of this node, which owns all partitions) or cassandra",
		value: func(c *Config) pflag.Value { return textValue(&c.History.Store) }},
	{key: "history.folder", usage: "folder of the pebble store",
		value: func(c *Config) pflag.Value { return textValue(&c.History.Folder) }},
	{key: "history.retention", usage: "how long timelines are kept, to the day (0: for ever)",
		value: func(c *Config) pflag.Value { return durationValue(&c.History.Retention) }},
	{key: "history.cassandra.hosts", usage: "Cassandra nodes to start from (host or host:port,...)", list: true,
		value: func(c *Config) pflag.Value { return listValue(&c.History.Cassandra.Hosts) }},
	{key: "history.cassandra.keyspace", usage: "keyspace of the tables",
		value: func(c *Config) pflag.Value { return textValue(&c.History.Cassandra.Keyspace) }},
	{key: "history.cassandra.datacenter", usage: "data centre to connect to (default: the one there is)",
		value: func(c *Config) pflag.Value { return textValue(&c.History.Cassandra.Datacenter) }},
	{key: "history.cassandra.consistency", usage: "replicas that answer each read and write: LOCAL_QUORUM or QUORUM",
		value: func(c *Config) pflag.Value { return textValue(&c.History.Cassandra.Consistency) }},
	{key: "history.cassandra.replication", usage: "replicas in each data centre, for tables that are created",
		value: func(c *Config) pflag.Value { return numberValue(&c.History.Cassandra.Replication, 31) }},
	{key: "history.cassandra.user", usage: "name of this node's user at Cassandra",
		value: func(c *Config) pflag.Value { return textValue(&c.History.Cassandra.User) }},
	{key: "history.cassandra.password_file", usage: "file with that user's password",
		value: func(c *Config) pflag.Value { return textValue(&c.History.Cassandra.PasswordFile) }},
	{key: "history.cassandra.tls.enabled", usage: "speak TLS to Cassandra",
		value: func(c *Config) pflag.Value { return boolValue(&c.History.Cassandra.TLS.Enabled) }},
	{key: "history.cassandra.tls.ca_file", usage: "certificates of the authorities that Cassandra's are signed by (default: the system's)",
		value: func(c *Config) pflag.Value { return textValue(&c.History.Cassandra.TLS.CAFile) }},
	{key: "history.cassandra.tls.cert_file", usage: "certificate of this node, for a Cassandra that asks for one",
		value: func(c *Config) pflag.Value { return textValue(&c.History.Cassandra.TLS.CertFile) }},
	{key: "history.cassandra.tls.key_file", usage: "private key of this node's certificate",
		value: func(c *Config) pflag.Value { return textValue(&c.History.Cassandra.TLS.KeyFile) }},

	{key: "token.algorithm", usage: "algorithm of the tokens' signatures: HS256, RS256, ES256 or EdDSA",
		value: func(c *Config) pflag.Value { return textValue(&c.Token.Algorithm) }},
	{key: "token.key_file", usage: "file with the key: the secret's raw bytes for HS256, else a public key in PEM",
		value: func(c *Config) pflag.Value { return textValue(&c.Token.KeyFile) }},
	{key: "token.issuer", usage: "issuer that tokens must name (default: any)",
		value: func(c *Config) pflag.Value { return textValue(&c.Token.Issuer) }},
	{key: "token.audience", usage: "audience that tokens must be for (default: any)",
		value: func(c *Config) pflag.Value { return textValue(&c.Token.Audience) }},

	{key: "limits.connections", usage: "connections that the node holds (0: as many as file descriptors allow)",
		value: func(c *Config) pflag.Value { return numberValue(&c.Limits.Connections, 31) }},
	{key: "limits.body_bytes", usage: "largest body of a message",
		value: func(c *Config) pflag.Value { return sizeValue(&c.Limits.BodyBytes) }},
	{key: "limits.queue_messages", usage: "messages that wait for one connection before more are dropped",
		value: func(c *Config) pflag.Value { return numberValue(&c.Limits.QueueMessages, 31) }},
	{key: "limits.queue_bytes", usage: "bytes that wait for one connection before more are dropped",
		value: func(c *Config) pflag.Value { return sizeValue(&c.Limits.QueueBytes) }},
	{key: "limits.in_flight", usage: "sends of one connection that may wait for their ack",
		value: func(c *Config) pflag.Value { return numberValue(&c.Limits.InFlight, 31) }},
	{key: "limits.sends_per_second", usage: "sends that one connection may make a second, lastingly (0: no limit)",
		value: func(c *Config) pflag.Value { return numberValue(&c.Limits.SendsPerSecond, 31) }},
	{key: "limits.sends_burst", usage: "sends that one connection may make at once after a pause",
		value: func(c *Config) pflag.Value { return numberValue(&c.Limits.SendsBurst, 31) }},
	{key: "limits.upgrade_timeout", usage: "time from accept to the upgrade's end, token included",
		value: func(c *Config) pflag.Value { return durationValue(&c.Limits.UpgradeTimeout) }},
	{key: "limits.heartbeat", usage: "silence of the server after which a client pings it (0: a minute, or longer with many connections)",
		value: func(c *Config) pflag.Value { return durationValue(&c.Limits.Heartbeat) }},
	{key: "limits.idle", usage: "silence of a client after which the server pings it (0: three times limits.heartbeat)",
		value: func(c *Config) pflag.Value { return durationValue(&c.Limits.Idle) }},
	{key: "limits.tail_bytes", usage: "memory for recent messages, so that clients that were away for a moment need nothing else",
		value: func(c *Config) pflag.Value { return sizeValue(&c.Limits.TailBytes) }},
	{key: "limits.node_frame_bytes", usage: "memory of all frames that wait for connections of the node, each counted once",
		value: func(c *Config) pflag.Value { return sizeValue(&c.Limits.NodeFrameBytes) }},
	{key: "limits.producer_records", usage: "records of the node on their way to Kafka",
		value: func(c *Config) pflag.Value { return numberValue(&c.Limits.ProducerRecords, 31) }},
	{key: "limits.producer_bytes", usage: "bytes of the node's records on their way to Kafka",
		value: func(c *Config) pflag.Value { return sizeValue(&c.Limits.ProducerBytes) }},

	{key: "loops", usage: "event loops (0: one for each CPU that Go may use)",
		value: func(c *Config) pflag.Value { return numberValue(&c.Loops, 31) }},
	{key: "fd_tables", usage: "shared, or per-loop: descriptors for each event loop, to hold more connections than the limit of open files",
		value: func(c *Config) pflag.Value { return textValue(&c.FDTables) }},
	{key: "workers", usage: "dispatch workers (0: one for each CPU that Go may use)",
		value: func(c *Config) pflag.Value { return numberValue(&c.Workers, 31) }},
	{key: "unsafe", usage: "serve a topic whose settings can lose messages that were acknowledged",
		value: func(c *Config) pflag.Value { return boolValue(&c.Unsafe) }},

	{key: "log.level", usage: "least level that is logged: debug, info, warn or error",
		value: func(c *Config) pflag.Value { return textValue(&c.Log.Level) }},
	{key: "log.format", usage: "form of the log's lines: text or json",
		value: func(c *Config) pflag.Value { return textValue(&c.Log.Format) }},
}

// mapKey is the one setting that is not in the table.
const mapKey = "map"

// envPrefix begins the names of all variables.
const envPrefix = "GODWIT_"

// env returns the variable of a setting: GODWIT_LIMITS_QUEUE_BYTES.
func (s *setting) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

// flag returns the flag of a setting, without its dashes: limits-queue-bytes.
func (s *setting) flag() string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(s.key)
}

var (
	byKey, byEnv, byFlag = indexSettings()

	// sections are the keys that hold other keys.
	sections = map[string]bool{"cluster": true, "kafka": true, "kafka.tls": true, "kafka.sasl": true,
		"history": true, "history.cassandra": true, "history.cassandra.tls": true, "token": true, "limits": true, "log": true}
)

func indexSettings() (key, env, flag map[string]*setting) {
	key, env, flag = map[string]*setting{}, map[string]*setting{}, map[string]*setting{}
	for i := range settings {
		s := &settings[i]
		key[s.key], env[s.env()], flag[s.flag()] = s, s, s
	}
	return key, env, flag
}
