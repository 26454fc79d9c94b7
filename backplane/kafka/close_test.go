package kafka_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafkatest"
)

func TestCloseFlushes(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := b.Config(t, 4)
		cfg.Producer.Linger = time.Second // what is sent waits, unless Close hurries it
		p := newProducer(t, cfg)
		if out := send(t, p, newSend(1, []byte("a"))); out.Status != backplane.Stored {
			t.Fatalf("before: %+v", out)
		}
		outcomes := newTally()
		for i := range 100 {
			if err := p.Produce(newSend(uint64(10+i), userIn(backplane.Partition(i%4), 4, 0)), outcomes); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Fatal(err)
		}
		if got := outcomes.of(backplane.Stored); got != 100 {
			t.Errorf("%d sends stored when Close returned, want 100", got)
		}
		var r *backplane.Rejection
		if err := p.Produce(newSend(1000, []byte("a")), outcomes); !errors.As(err, &r) || r.Code != backplane.CodeShutdown {
			t.Errorf("error %v after Close, want a rejection as shutting down", err)
		}
		if err := p.Close(ctx); err != nil {
			t.Errorf("the second Close: %v", err)
		}
	})
}

// Everyone has an outcome when Close returns, in the time that it was given, also
// those that come at the same time.
func TestCloseAnswersTheRest(t *testing.T) {
	cluster, cfg := newFaulty(t, 4)
	p := newProducer(t, cfg)
	if out := send(t, p, newSend(1, []byte("a"))); out.Status != backplane.Stored {
		t.Fatalf("before: %+v", out)
	}
	release := stall(t, cluster)
	defer release()
	outcomes := newTally()
	var accepted, goroutines sync.WaitGroup
	var mu sync.Mutex
	admitted := 0
	accepted.Add(4)
	for g := range 4 {
		goroutines.Go(func() {
			once := sync.OnceFunc(accepted.Done)
			defer once()
			for i := uint64(0); ; i++ {
				err := p.Produce(newSend(uint64(g)<<32+i+10, []byte("a"), []byte("b")), outcomes)
				var r *backplane.Rejection
				switch {
				case err == nil:
					mu.Lock()
					admitted++
					mu.Unlock()
				case errors.As(err, &r) && r.Code == backplane.CodeShutdown:
					return
				case errors.As(err, &r) && r.Code == backplane.CodeOverloaded:
				default:
					t.Error(err)
					return
				}
				once()
			}
		})
	}
	accepted.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if err := p.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: %v, want that its time is over", err)
	}
	goroutines.Wait()
	if got := outcomes.of(backplane.Unknown); got != admitted || outcomes.count() != admitted {
		t.Errorf("%d outcomes, %d of them unknown; want %d, all unknown", outcomes.count(), got, admitted)
	}
}

func TestConsumerCloses(t *testing.T) {
	cfg := kafkatest.Embedded(t, 4)
	p := newProducer(t, cfg)
	j := newJournal()
	c := newConsumer(t, cfg, 2, j)
	add(t, c, 0, 0, 1, 2, 3)
	fill(t, p, 4, 0, 100, 0, 1, 2, 3)
	release := j.block(0)
	fill(t, p, 4, 10_000, 100, 0, 1, 2, 3)
	eventually(t, "worker 0 is in Record", func() bool { return j.inRecord(0)+j.inRecord(2) == 1 })
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		c.Close()
	}()
	select {
	case <-closed:
		t.Fatal("Close returned while Record was running")
	case <-time.After(50 * time.Millisecond):
	}
	release()
	<-closed
	before := j.len()
	fill(t, p, 4, 20_000, 10, 0, 1, 2, 3)
	if got := j.len(); got != before {
		t.Errorf("%d records after Close", got-before)
	}
	c.Close()
}

// A client that no broker answers closes all the same.
func TestCloseWithoutBroker(t *testing.T) {
	cfg := kafkatest.Embedded(t, 1)
	cfg.Brokers = []string{"127.0.0.1:1"}
	cfg.Producer.AckTimeout = time.Second
	cfg.Consumer.OffsetTimeout = 200 * time.Millisecond
	p := newProducer(t, cfg)
	if out := send(t, p, newSend(1, []byte("a"))); out.Status != backplane.Unknown || out.Code != backplane.CodeTimeout {
		t.Errorf("outcome %+v, want unknown by timeout", out)
	}
	c := newConsumer(t, cfg, 1, newJournal())
	if err := c.Add([]backplane.Partition{0}, 0); err == nil {
		t.Error("Add found offsets without a broker")
	}
}
