package config

import (
	"cmp"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/server/auth"
)

// Validate reports everything that is wrong with c, as an *Error. It reads no
// file and opens no connection.
func (c *Config) Validate() error {
	var wrong findings
	c.checkNode(&wrong)
	c.checkAdmin(&wrong)
	c.Kafka.check(&wrong)
	if c.Cluster.Enabled {
		c.checkCluster(&wrong)
	} else {
		c.checkMap(&wrong)
	}
	c.checkHistory(&wrong)
	c.Token.check(&wrong)
	c.Limits.check(&wrong)
	between(&wrong, "loops", c.Loops, 0, maxThreads)
	oneOf(&wrong, "fd_tables", c.FDTables, FDTablesShared, FDTablesPerLoop)
	between(&wrong, "workers", c.Workers, 0, maxThreads)
	oneOf(&wrong, "log.level", c.Log.Level, "debug", "info", "warn", "error")
	oneOf(&wrong, "log.format", c.Log.Format, "text", "json")
	return wrong.err()
}

var (
	nodeNames = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,64}$`)

	// namespaces are what package backplane/kafka makes topic names of. Kafka takes "_"
	// and "." for the same in the names of its metrics, so only one of them is let in.
	namespaces = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9.-]{0,99}$`)
)

// keyspaces are names that Cassandra takes without quotes.
var keyspaces = regexp.MustCompile(`^[a-z][a-z0-9_]{0,47}$`)

func checkNodeName(wrong *findings, key, name string) {
	if !nodeNames.MatchString(name) {
		wrong.add(key, name, `must be 1 to 64 of the characters a-z, A-Z, 0-9, ".", "_" and "-"`)
	}
}

func (c *Config) checkNode(wrong *findings) {
	checkNodeName(wrong, "node", c.Node)
	host, port, ok := checkAddress(wrong, "listen", c.Listen, true)
	switch {
	case c.Advertise != "":
		checkURL(wrong, "advertise", c.Advertise)
	case ok && everyAddress(host):
		wrong.add("advertise", "", "must be the URL that clients reach this node by, such as %q, because listen is %q: all addresses of this machine",
			ConnectURL("chat.example.org:"+strconv.Itoa(int(port))), c.Listen)
	}
}

func (c *Config) checkAdmin(wrong *findings) {
	host, port, ok := checkAddress(wrong, "admin", c.Admin, true)
	if !ok {
		return
	}
	if !loopback(host) && c.AdminTokenFile == "" {
		wrong.add("admin_token_file", "", "must name a file with a token, because admin is %q, which is not a loopback address", c.Admin)
	}
	if c.Admin == c.Listen && port != 0 {
		wrong.add("admin", c.Admin, "must differ from listen, which is %q", c.Listen)
	}
}

func (k *Kafka) check(wrong *findings) {
	if len(k.Brokers) == 0 {
		wrong.add("kafka.brokers", "", "must name at least one broker (host:port)")
	}
	for _, b := range k.Brokers {
		checkAddress(wrong, "kafka.brokers", b, false)
	}
	if !namespaces.MatchString(k.Namespace) {
		wrong.add("kafka.namespace", k.Namespace, `must be 1 to 100 of the characters a-z, A-Z, 0-9, "." and "-", and begin with a letter or digit`)
	}
	if k.Generation == 0 {
		wrong.add("kafka.generation", k.Generation, "must be 1 or above")
	}
	between(wrong, "kafka.partitions", k.Partitions, 1, backplane.MaxPartitions)
	between(wrong, "kafka.linger", k.Linger, 0, maxLinger)
	oneOf(wrong, "kafka.compression", k.Compression, "none", "snappy", "lz4", "zstd")
	k.TLS.check(wrong, "kafka.tls")
	k.SASL.check(wrong)
}

func (t *TLS) check(wrong *findings, key string) {
	for _, f := range []struct{ key, file string }{
		{key + ".ca_file", t.CAFile}, {key + ".cert_file", t.CertFile}, {key + ".key_file", t.KeyFile},
	} {
		if f.file != "" && !t.Enabled {
			wrong.add(f.key, f.file, "must be left out while %s.enabled is false", key)
		}
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		wrong.add(key+".cert_file", t.CertFile, "must be set together with %s.key_file, which is %q", key, t.KeyFile)
	}
}

func (s *SASL) check(wrong *findings) {
	if s.Mechanism == "" {
		for _, f := range []struct{ key, value string }{{"kafka.sasl.user", s.User}, {"kafka.sasl.password_file", s.PasswordFile}} {
			if f.value != "" {
				wrong.add(f.key, f.value, "must be left out while kafka.sasl.mechanism is empty")
			}
		}
		return
	}
	oneOf(wrong, "kafka.sasl.mechanism", s.Mechanism, "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
	for _, f := range []struct{ key, value string }{{"kafka.sasl.user", s.User}, {"kafka.sasl.password_file", s.PasswordFile}} {
		if f.value == "" {
			wrong.add(f.key, "", "must be set, because kafka.sasl.mechanism is %q", s.Mechanism)
		}
	}
}

// checkCluster checks what a node brings into a cluster, which has its map in Kafka.
func (c *Config) checkCluster(wrong *findings) {
	oneOf(wrong, "cluster.role", c.Cluster.Role, RoleActive, RoleStandby)
	between(wrong, "cluster.weight", c.Cluster.Weight, 0, maxWeight)
	if len(c.Map) > 0 {
		wrong.add(mapKey, len(c.Map), "must be left out while cluster.enabled is true: the nodes keep the map themselves")
	}
	if len(c.Partitions) > 0 {
		wrong.add("partitions", c.Partitions, "must be left out while cluster.enabled is true: the nodes share the partitions among themselves")
	}
	host, port, ok := splitAddress(c.Admin)
	switch u, err := url.Parse(c.Cluster.AdminURL); {
	case c.Cluster.AdminURL == "":
		if ok && everyAddress(host) {
			wrong.add("cluster.admin_url", "", "must be the URL that operators reach the admin port by, such as %q, because admin is %q: all addresses of this machine",
				"http://chat.example.org:"+strconv.Itoa(int(port)), c.Admin)
		}
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		wrong.add("cluster.admin_url", redacted(c.Cluster.AdminURL), `must be an http or https URL, such as "http://chat.example.org:8081"`)
	case u.User != nil:
		wrong.add("cluster.admin_url", redacted(c.Cluster.AdminURL), "must hold no user and no password: it is shown to every node")
	}
}

// checkMap checks who owns what.
func (c *Config) checkMap(wrong *findings) {
	if c.MapVersion == 0 {
		wrong.add("map_version", c.MapVersion, "must be 1 or above")
	}
	before := len(*wrong)
	for i, p := range c.Map {
		key := mapKey + "[" + strconv.Itoa(i) + "]"
		checkNodeName(wrong, key+".node", p.Node)
		checkURL(wrong, key+".url", p.URL)
	}
	if own := c.ownPeer(); own != nil {
		if c.Advertise != own.URL {
			wrong.add("advertise", redacted(c.Advertise), "must be left out or agree with the map, where the url of node %q is %q", own.Node, redacted(own.URL))
		}
		if !slices.Equal(c.Partitions, own.Partitions) {
			wrong.add("partitions", c.Partitions, "must be left out or agree with the map, where the partitions of node %q are %q", own.Node, own.Partitions)
		}
	}
	if n := c.Kafka.Partitions; len(*wrong) > before || n < 1 || n > backplane.MaxPartitions {
		return // what follows would only be consequences
	}
	_, err := c.Placement()
	for _, err := range flatten(err) {
		wrong.add("partitions", c.Partitions, "%v (kafka.partitions is %d, and map has %d nodes)", err, c.Kafka.Partitions, len(c.Map))
	}
}

// flatten returns the errors that err joins.
func flatten(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range joined.Unwrap() {
			errs = append(errs, flatten(e)...)
		}
		return errs
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

func (t *Token) check(wrong *findings) {
	var names []string
	for _, a := range auth.Algorithms() {
		names = append(names, string(a))
	}
	oneOf(wrong, "token.algorithm", string(t.Algorithm), names...)
	if t.KeyFile == "" {
		wrong.add("token.key_file", "", "must name the file with the key that tokens are verified with")
	}
}

func (l *Limits) check(wrong *findings) {
	between(wrong, "limits.connections", l.Connections, 0, maxConnections)
	between(wrong, "limits.body_bytes", l.BodyBytes, 1, backplane.MaxBody)
	between(wrong, "limits.queue_messages", l.QueueMessages, 1, maxQueueMessages)
	between(wrong, "limits.queue_bytes", l.QueueBytes, 1, maxBytes)
	between(wrong, "limits.in_flight", l.InFlight, 1, maxInFlight)
	between(wrong, "limits.sends_per_second", l.SendsPerSecond, 0, maxSends)
	between(wrong, "limits.sends_burst", l.SendsBurst, 1, maxSends)
	between(wrong, "limits.upgrade_timeout", l.UpgradeTimeout, minUpgrade, maxUpgrade)
	if l.Heartbeat != 0 {
		between(wrong, "limits.heartbeat", l.Heartbeat, minHeartbeat, maxHeartbeat)
	}
	if l.Idle != 0 {
		between(wrong, "limits.idle", l.Idle, minHeartbeat, maxIdle)
	}
	between(wrong, "limits.tail_bytes", l.TailBytes, 0, maxBytes)
	between(wrong, "limits.node_frame_bytes", l.NodeFrameBytes, 1, maxBytes)
	between(wrong, "limits.producer_records", l.ProducerRecords, maxSendRecords, maxRecords)
	between(wrong, "limits.producer_bytes", l.ProducerBytes, minProducerBytes, maxBytes)

	if least := jsonInflation*l.BodyBytes + frameOverhead; l.QueueBytes < least {
		wrong.add("limits.queue_bytes", l.QueueBytes, "must be at least %v, because limits.body_bytes is %v: one message of that size may need so much in JSON", least, l.BodyBytes)
	}
	if l.NodeFrameBytes < l.QueueBytes {
		wrong.add("limits.node_frame_bytes", l.NodeFrameBytes, "must be at least limits.queue_bytes, which is %v: one connection's queue must fit", l.QueueBytes)
	}
	if l.SendsBurst < l.SendsPerSecond {
		wrong.add("limits.sends_burst", l.SendsBurst, "must be at least limits.sends_per_second, which is %d", l.SendsPerSecond)
	}
	if l.IdleTime() <= l.HeartbeatTime() {
		wrong.add("limits.idle", l.Idle, "must be longer than limits.heartbeat, which is %v", l.HeartbeatTime())
	}
}

func between[T cmp.Ordered](wrong *findings, key string, value, least, most T) {
	if value < least || value > most {
		wrong.add(key, value, "must be %v to %v", least, most)
	}
}

func oneOf(wrong *findings, key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		wrong.add(key, value, "must be one of %s", strings.Join(allowed, ", "))
	}
}

// checkAddress checks host:port. A listener may leave out the host, and may have
// port 0, for one that the system chooses.
func checkAddress(wrong *findings, key, address string, listener bool) (host string, port uint16, ok bool) {
	host, port, ok = splitAddress(address)
	if !ok || !listener && (host == "" || port == 0) {
		wrong.add(key, address, `must be host:port, such as "127.0.0.1:8080"`)
		return "", 0, false
	}
	return host, port, true
}

func checkURL(wrong *findings, key, text string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Hostname() == "":
		wrong.add(key, redacted(text), `must be a ws or wss URL, such as "ws://chat.example.org:8080%s"`, ConnectPath)
	case u.User != nil:
		wrong.add(key, redacted(text), "must hold no user and no password: it is shown to every client")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		wrong.add(key, text, `must end with its path: clients add parameters of their own after a "?"`)
	}
}

// redacted returns the text of a URL without a password that it may hold.
func redacted(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "(not a URL)"
	}
	return u.Redacted()
}
