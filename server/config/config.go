package config

import (
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/server/auth"
	"github.com/godwit-im/godwit/server/placement"
)

// Config is the settings of a node. The tags name them as they stand in the
// file; the table in settings.go says what each is for.
type Config struct {
	Node           string           `yaml:"node"`
	Listen         string           `yaml:"listen"`
	Advertise      string           `yaml:"advertise"`
	Admin          string           `yaml:"admin"`
	AdminTokenFile string           `yaml:"admin_token_file"`
	Kafka          Kafka            `yaml:"kafka"`
	Partitions     placement.Ranges `yaml:"partitions"`
	MapVersion     uint64           `yaml:"map_version"`
	Map            []Peer           `yaml:"map,omitempty"`
	Cluster        Cluster          `yaml:"cluster"`
	History        History          `yaml:"history"`
	Token          Token            `yaml:"token"`
	Limits         Limits           `yaml:"limits"`
	Loops          int              `yaml:"loops"`
	FDTables       string           `yaml:"fd_tables"`
	Workers        int              `yaml:"workers"`
	Unsafe         bool             `yaml:"unsafe"`
	Log            Log              `yaml:"log"`
}

// Kafka says where the log is and how to speak to it.
type Kafka struct {
	Brokers     []string      `yaml:"brokers,flow"`
	Namespace   string        `yaml:"namespace"`
	Generation  uint32        `yaml:"generation"`
	Partitions  int32         `yaml:"partitions"`
	Linger      time.Duration `yaml:"linger"`
	Compression string        `yaml:"compression"`
	TLS         TLS           `yaml:"tls"`
	SASL        SASL          `yaml:"sasl"`
}

// TLS says how connections to Kafka are encrypted. The files are PEM.
type TLS struct {
	Enabled  bool   `yaml:"enabled"`
	CAFile   string `yaml:"ca_file"`
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}

// SASL says who the node is to Kafka.
type SASL struct {
	Mechanism    string `yaml:"mechanism"`
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
}

// Peer is a node of the map.
type Peer struct {
	Node       string           `yaml:"node"`
	URL        string           `yaml:"url"`
	Partitions placement.Ranges `yaml:"partitions"`
}

// Cluster says whether the node is one of several that share the partitions among
// themselves, and what it brings along.
type Cluster struct {
	Enabled  bool   `yaml:"enabled"`
	Role     string `yaml:"role"`
	Weight   int    `yaml:"weight"`
	AdminURL string `yaml:"admin_url"`
}

// History says where timelines are kept for longer than the log keeps them, if anywhere.
type History struct {
	Store     string        `yaml:"store"`
	Folder    string        `yaml:"folder"`
	Retention time.Duration `yaml:"retention"`
	Cassandra Cassandra     `yaml:"cassandra"`
}

// Cassandra says where the store of a cluster is and how to speak to it.
type Cassandra struct {
	Hosts        []string `yaml:"hosts,flow"`
	Keyspace     string   `yaml:"keyspace"`
	Datacenter   string   `yaml:"datacenter"`
	Consistency  string   `yaml:"consistency"`
	Replication  int      `yaml:"replication"`
	User         string   `yaml:"user"`
	PasswordFile string   `yaml:"password_file"`
	TLS          TLS      `yaml:"tls"`
}

// Token says which tokens are accepted.
type Token struct {
	Algorithm auth.Algorithm `yaml:"algorithm"`
	KeyFile   string         `yaml:"key_file"`
	Issuer    string         `yaml:"issuer"`
	Audience  string         `yaml:"audience"`
}

// Limits bounds what a node takes on. Sizes are in bytes, and a connection is
// one WebSocket.
type Limits struct {
	Connections     int           `yaml:"connections"`
	BodyBytes       Size          `yaml:"body_bytes"`
	QueueMessages   int           `yaml:"queue_messages"`
	QueueBytes      Size          `yaml:"queue_bytes"`
	InFlight        int           `yaml:"in_flight"`
	SendsPerSecond  int           `yaml:"sends_per_second"`
	SendsBurst      int           `yaml:"sends_burst"`
	UpgradeTimeout  time.Duration `yaml:"upgrade_timeout"`
	Heartbeat       time.Duration `yaml:"heartbeat"`
	Idle            time.Duration `yaml:"idle"`
	NodeFrameBytes  Size          `yaml:"node_frame_bytes"`
	TailBytes       Size          `yaml:"tail_bytes"`
	ProducerRecords int           `yaml:"producer_records"`
	ProducerBytes   Size          `yaml:"producer_bytes"`
}

// Log says what the node tells of itself.
type Log struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

// The values of Cluster.Role.
const (
	// RoleActive: a new node gets a share of the partitions.
	RoleActive = "active"
	// RoleStandby: a new node waits to replace one that fails.
	RoleStandby = "standby"
)

// The values of FDTables.
const (
	// FDTablesShared: all loops use the process's table of file descriptors.
	FDTablesShared = "shared"
	// FDTablesPerLoop: each loop has a table of its own, so that the limit of open
	// files holds for each and not for all together.
	FDTablesPerLoop = "per-loop"
)

// The values of History.Store.
const (
	// HistoryNone: the log is all there is.
	HistoryNone = "none"
	// HistoryPebble: in files of this node, which owns all partitions.
	HistoryPebble = "pebble"
	// HistoryCassandra: in a Cassandra that all nodes share.
	HistoryCassandra = "cassandra"
)

// Default returns the settings of a node that is told nothing. They are valid
// but for the token key, which has no default.
func Default() Config {
	return Config{
		Node:   "node-1",
		Listen: "127.0.0.1:8080",
		Admin:  "127.0.0.1:8081",
		Kafka: Kafka{
			Brokers:     []string{"127.0.0.1:9092"},
			Namespace:   "godwit",
			Generation:  1,
			Partitions:  1024,
			Linger:      500 * time.Microsecond,
			Compression: "none",
		},
		MapVersion: 1,
		Cluster:    Cluster{Role: RoleActive, Weight: 1},
		FDTables:   FDTablesShared,
		History: History{
			Store: HistoryNone,
			// A month: what a device that was left in a drawer may miss.
			Retention: 30 * 24 * time.Hour,
			Cassandra: Cassandra{Keyspace: "godwit", Consistency: "LOCAL_QUORUM", Replication: 3},
		},
		Token: Token{Algorithm: auth.HS256},
		Limits: Limits{
			BodyBytes:       backplane.MaxBody,
			QueueMessages:   256,
			QueueBytes:      1 << 20,
			InFlight:        256,
			SendsPerSecond:  100,
			SendsBurst:      200,
			UpgradeTimeout:  10 * time.Second,
			NodeFrameBytes:  256 << 20,
			TailBytes:       256 << 20,
			ProducerRecords: 50_000,
			ProducerBytes:   256 << 20,
		},
		Log: Log{Level: "info", Format: "text"},
	}
}
