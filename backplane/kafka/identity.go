package kafka

import (
	"context"
	"fmt"
)

// ClusterID asks the brokers of cfg for the id that Kafka gave their cluster when it was
// made. It is the same on all of them, and no other cluster has it, whatever its addresses
// and topics are.
func ClusterID(ctx context.Context, cfg Config) (string, error) {
	admin, err := newAdmin(&cfg)
	if err != nil {
		return "", err
	}
	defer admin.Close()
	metadata, err := admin.BrokerMetadata(ctx)
	if err != nil {
		return "", fmt.Errorf("kafka: asking for the id of the cluster: %w", err)
	}
	return metadata.Cluster, nil
}
