package kafka

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec/buffer"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kprom"
)

// Producer writes sends to the messages topic. It implements
// backplane.Producer.
type Producer struct {
	// Static.
	partitions int32
	client     *kgo.Client
	wire       *wire
	table      *flights
	counts     *producerCounts
	metrics    *kprom.Metrics
	heard      *heard
	timer      sync.WaitGroup // the timer goroutine
	closeOnce  sync.Once

	// Pools.
	flights sync.Pool
	records sync.Pool
}

var _ backplane.Producer = (*Producer)(nil)

// NewProducer returns a Producer. It does not connect: brokers that cannot be
// reached show in the outcomes of sends.
func NewProducer(cfg Config) (*Producer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	p := &Producer{
		partitions: cfg.Partitions,
		wire:       newWire(cfg.Partitions),
		counts:     newProducerCounts(),
		metrics:    kprom.NewMetrics(metricsNamespace, kprom.Subsystem("producer_client"), kprom.Registry(nil), kprom.FetchAndProduceDetail(kprom.ByNode, kprom.Batches, kprom.Records, kprom.UncompressedBytes)),
	}
	p.heard = newHeard(keyProduce)
	p.table = newFlights(&cfg.Producer, p.counts)
	p.pool()
	client, err := kgo.NewClient(append(cfg.clientOptions(p.wire.watch), cfg.producerOptions(p.metrics, p.heard)...)...)
	if err != nil {
		return nil, fmt.Errorf("kafka: making the producer's client: %w", err)
	}
	p.client = client
	p.timer.Go(p.table.run)
	return p, nil
}

// Heard returns when a broker last answered a request that writes, zero for never.
func (p *Producer) Heard() time.Time { return p.heard.Last() }

// pool makes the pools ready.
func (p *Producer) pool() {
	p.flights.New = func() any { return &flight{producer: p} }
	p.records.New = func() any {
		r := new(record)
		r.promise = r.settle
		return r
	}
}

// producerOptions returns the options of the producer's client.
func (c *Config) producerOptions(hooks ...kgo.Hook) []kgo.Opt {
	p := &c.Producer
	// An attempt that gets no answer must end well before AckTimeout, so that the
	// client can try again, and soon after it, so that it can give up: it does
	// neither while a request is under way. The client waits for an answer for the
	// sum of the two.
	compression, _ := p.Compression.codec() // Validate knows it
	attempt := max(p.AckTimeout/8, 250*time.Millisecond)
	return []kgo.Opt{
		kgo.WithHooks(hooks...),
		kgo.DefaultProduceTopic(c.Topic()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(p.Linger),
		kgo.ProducerBatchCompression(compression),
		kgo.ProducerBatchMaxBytes(maxBatch),
		kgo.MaxBufferedRecords(p.MaxRecords + clientSlack),
		kgo.MaxBufferedBytes(int(p.MaxBytes) + maxSendBytes),
		kgo.ProduceRequestTimeout(attempt),
		kgo.RequestTimeoutOverhead(attempt),
		kgo.RecordDeliveryTimeout(p.AckTimeout),
		// Without it the delivery timeout does not apply to what was sent once, and a
		// broker that hangs would hold its records for ever.
		kgo.AllowIdempotentProduceCancellation(),
	}
}

// Produce implements backplane.Producer.
func (p *Producer) Produce(s *backplane.Send, w backplane.Waiter) error {
	if len(s.Value) > maxValue || len(s.To) > backplane.MaxRecipients {
		return p.reject(backplane.CodeTooLarge)
	}
	f := p.flights.Get().(*flight)
	f.plan(s, p.partitions)
	joined, code := p.table.enter(f, w)
	if joined || code != "" {
		p.release(f)
		if joined {
			p.counts.joined.Inc()
			return nil
		}
		return p.reject(code)
	}
	p.counts.admitted.Inc()
	f.fill(s)
	// The last promise releases f, and may do so before the loop ends.
	for i, n := 0, len(f.records); i < n; i++ {
		r := f.records[i]
		r.doubts = p.wire.doubts(r.partition)
		p.client.TryProduce(context.Background(), &r.Record, r.promise)
	}
	p.table.handed()
	return nil
}

func (p *Producer) reject(code backplane.Code) error {
	p.counts.outcome(backplane.Outcome{Status: backplane.Rejected, Code: code})
	return rejections[code]
}

// rejections has the errors of Produce, made once: an overloaded node must not
// allocate for every send that it refuses.
var rejections = map[backplane.Code]*backplane.Rejection{
	backplane.CodeTooLarge:   {Code: backplane.CodeTooLarge},
	backplane.CodeOverloaded: {Code: backplane.CodeOverloaded},
	backplane.CodeShutdown:   {Code: backplane.CodeShutdown},
}

// landed ends a flight whose records are all settled. It is called by the
// client's promise goroutine.
func (p *Producer) landed(f *flight) {
	p.table.land(f, f.outcome())
	p.release(f)
}

// newRecord returns a record for partition, which belongs to f.
func (p *Producer) newRecord(f *flight, partition int32) *record {
	r := p.records.Get().(*record)
	r.flight, r.partition, r.listBytes = f, partition, 0
	return r
}

// release gives f, its records and its buffer back. Nothing may refer to them.
func (p *Producer) release(f *flight) {
	for i, r := range f.records {
		r.Record, r.headers, r.flight = kgo.Record{}, [2]kgo.RecordHeader{}, nil
		p.records.Put(r)
		f.records[i] = nil
	}
	if f.buffer != nil {
		buffer.Give(f.buffer)
	}
	clear(f.users)
	*f = flight{producer: p, records: f.records[:0], users: f.users[:0]}
	p.flights.Put(f)
}

// Close rejects new sends with CodeShutdown, waits until those on their way are
// settled or ctx ends, answers the rest Unknown, and closes the client. It
// returns ctx's error if there was a rest. Calls after the first return nil at
// once.
func (p *Producer) Close(ctx context.Context) error {
	var err error
	p.closeOnce.Do(func() { err = p.close(ctx) })
	return err
}

func (p *Producer) close(ctx context.Context) error {
	settled, empty := p.table.close()
	<-settled // callers are between two lines of Produce, and nothing there waits
	err := p.client.Flush(ctx)
	if err == nil {
		// The client counts a record as flushed after its promise.
		<-empty
	}
	p.table.expire(time.Now().Add(2 * p.table.timeout))
	close(p.table.quit)
	p.timer.Wait()
	p.client.Close() // fires the promises that are left
	<-empty
	return err
}

// Describe implements prometheus.Collector.
func (p *Producer) Describe(ch chan<- *prometheus.Desc) {
	p.counts.describe(ch)
	p.metrics.Describe(ch)
}

// Collect implements prometheus.Collector.
func (p *Producer) Collect(ch chan<- prometheus.Metric) {
	sends, records, bytes := p.table.load()
	p.counts.collect(ch, sends, records, bytes)
	p.metrics.Collect(ch)
}
