package server

import (
	"log/slog"

	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/server/config"
)

// KafkaConfig returns what package kafka is told by the settings of a node. It
// reads the files that the settings name.
func KafkaConfig(c *config.Config, log *slog.Logger) (kafka.Config, error) {
	k := kafka.DefaultConfig()
	k.Brokers = c.Kafka.Brokers
	k.Namespace = c.Kafka.Namespace
	k.Generation = c.Kafka.Generation
	k.Partitions = c.Kafka.Partitions
	k.ClientID = "godwit-" + c.Node
	k.Producer.Linger = c.Kafka.Linger
	k.Producer.Compression = kafka.Compression(c.Kafka.Compression)
	k.Producer.MaxRecords = c.Limits.ProducerRecords
	k.Producer.MaxBytes = int64(c.Limits.ProducerBytes)
	k.Logger = log
	var err error
	if k.TLS, err = c.Kafka.TLS.Config("kafka.tls"); err != nil {
		return k, err
	}
	password, err := c.Kafka.SASL.Password()
	if err != nil {
		return k, err
	}
	k.SASL = kafka.SASL{Mechanism: c.Kafka.SASL.Mechanism, User: c.Kafka.SASL.User, Password: password}
	return k, k.Validate()
}
