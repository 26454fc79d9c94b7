package e2e

import (
	"slices"
	"sync"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafka"
)

// record is a record of the log.
type record struct {
	backplane.Position
	time       int64
	kind       backplane.Kind
	message    backplane.MessageID
	body       string
	recipients []string
}

// readLog reads the whole messages topic.
func readLog(t testing.TB, cfg kafka.Config) []record {
	t.Helper()
	cfg.Logger = nil
	j := &journal{t: t}
	c, err := kafka.NewConsumer(cfg, 1, func(int) backplane.Handler { return j })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	all := make([]backplane.Partition, cfg.Partitions)
	for i := range all {
		all[i] = backplane.Partition(i)
	}
	if err := c.Add(all, 0); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log was read", c.Ready)
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.records)
}

// journal is a Handler that keeps all it is given.
type journal struct {
	t       testing.TB
	mu      sync.Mutex
	records []record
}

func (j *journal) Record(r *backplane.Record) {
	var m backplane.Message
	if err := backplane.ParseMessage(r.Value, &m); err != nil {
		j.t.Errorf("partition %d, offset %d: %v", r.Partition, r.Offset, err)
	}
	kept := record{Position: r.Position, time: r.Time, kind: m.Kind, message: m.MessageID, body: string(m.Body)}
	for list := r.Recipients; ; {
		user, rest, ok := backplane.NextRecipient(list)
		if !ok {
			break
		}
		kept.recipients = append(kept.recipients, string(user))
		list = rest
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.records = append(j.records, kept)
}

func (j *journal) Begin(backplane.Partition, int64, int64) {}
func (j *journal) End(backplane.Partition)                 {}
func (j *journal) Tick()                                   {}

// copiesOf returns how many records have a message id.
func copiesOf(log []record, id backplane.MessageID) int {
	n := 0
	for i := range log {
		if log[i].message == id {
			n++
		}
	}
	return n
}

// place is a message in the timeline of a user.
type place struct {
	message backplane.MessageID
	user    string
}

// places returns the offsets of each message in the timeline of each of its users.
func places(log []record) map[place][]int64 {
	index := make(map[place][]int64)
	for _, r := range log {
		for _, user := range r.recipients {
			at := place{r.message, user}
			index[at] = append(index[at], r.Offset)
		}
	}
	return index
}
