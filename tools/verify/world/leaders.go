package world

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// topic is that of the messages.
	topic = namespace + ".messages." + generation

	// ledShare is the part of all partitions whose leaders a Lead moves: one of so many, at
	// least one.
	ledShare = 3
)

// Lead has a broker lead some partitions of the messages that others lead, and returns when
// Kafka says that it does. pick chooses which.
//
// Their replicas stay where they are. The broker becomes the first of them, which is the one
// that Kafka prefers, and then the leader without an election that could lose anything:
// Kafka takes it only while it has all that was acknowledged.
func (w *World) Lead(ctx context.Context, broker string, pick uint64) (evidence string, err error) {
	to := int32(slices.Index(w.brokers, broker) + 1) // kafka.Cluster counts from 1
	if to == 0 {
		return "", fmt.Errorf("world: there is no broker %q", broker)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(w.kafka...), kgo.MetadataMinAge(settlePoll))
	if err != nil {
		return "", fmt.Errorf("world: %w", err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	var chosen []int32
	var from map[int32]bool // who led them
	poll := time.NewTicker(settlePoll)
	defer poll.Stop()
	for {
		partitions, err := described(ctx, admin)
		switch {
		case err != nil:
		case chosen == nil:
			chosen, from, err = prefer(ctx, admin, partitions, to, pick)
		case !slices.ContainsFunc(chosen, func(p int32) bool { return partitions[p].Leader != to }):
			var names []string
			for _, id := range slices.Sorted(maps.Keys(from)) {
				names = append(names, w.brokers[id-1])
			}
			return fmt.Sprintf("%s leads partitions %v, which %v led", broker, chosen, names), nil
		}
		if err == nil && chosen != nil {
			err = elect(ctx, admin, chosen)
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return "", fmt.Errorf("world: %s does not lead partitions %v: %w", broker, chosen, errors.Join(ctx.Err(), err))
		}
	}
}

// described returns what Kafka says of the partitions of the messages.
func described(ctx context.Context, admin *kadm.Client) (kadm.PartitionDetails, error) {
	topics, err := admin.ListTopics(ctx, topic)
	if err != nil {
		return nil, err
	}
	return topics[topic].Partitions, topics[topic].Err
}

// prefer makes a broker the preferred leader of some partitions that it has, and does not
// lead. It returns none where all have it as their leader, or none has any.
func prefer(ctx context.Context, admin *kadm.Client, partitions kadm.PartitionDetails, to int32, pick uint64) (chosen []int32, from map[int32]bool, err error) {
	var others []int32
	for _, p := range partitions.Sorted() {
		if p.Err == nil && p.Leader > 0 && p.Leader != to && slices.Contains(p.ISR, to) {
			others = append(others, p.Partition)
		}
	}
	if len(others) == 0 {
		return nil, nil, errors.New("no partition with another leader has it in sync")
	}
	n := min(len(others), max(1, len(partitions)/ledShare))
	first := int(pick % uint64(len(others)-n+1))
	chosen = others[first : first+n]
	from = make(map[int32]bool)
	var orders kadm.AlterPartitionAssignmentsReq
	for _, p := range chosen {
		from[partitions[p].Leader] = true
		order := []int32{to}
		for _, replica := range partitions[p].Replicas {
			if replica != to {
				order = append(order, replica)
			}
		}
		orders.Assign(topic, p, order)
	}
	answers, err := admin.AlterPartitionAssignments(ctx, orders)
	if err == nil {
		err = answers.Error()
	}
	if err != nil {
		return nil, nil, err
	}
	return chosen, from, nil
}

// elect has Kafka give partitions to the leaders that it prefers.
func elect(ctx context.Context, admin *kadm.Client, partitions []int32) error {
	set := make(kadm.TopicsSet)
	set.Add(topic, partitions...)
	answers, err := admin.ElectLeaders(ctx, kadm.ElectPreferredReplica, set)
	for _, answer := range answers[topic] {
		if !errors.Is(answer.Err, kerr.ElectionNotNeeded) {
			err = errors.Join(err, answer.Err)
		}
	}
	return err
}
