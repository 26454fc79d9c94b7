package kafka

import (
	"errors"

	"github.com/godwit-im/godwit/backplane"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
)

// metricsNamespace begins the name of every metric of this package.
const metricsNamespace = "godwit_kafka"

// producerCounts has what a Producer counts. All of it may be used by any
// goroutine.
type producerCounts struct {
	admitted prometheus.Counter
	joined   prometheus.Counter
	stored   prometheus.Counter
	rejected map[backplane.Code]prometheus.Counter // static
	unknown  map[backplane.Code]prometheus.Counter // static
	errors   *prometheus.CounterVec

	rejectedVec, unknownVec *prometheus.CounterVec

	sends, records, bytes *prometheus.Desc
}

func newProducerCounts() *producerCounts {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: metricsNamespace, Subsystem: "producer", Name: name, Help: help,
		})
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: metricsNamespace, Subsystem: "producer", Name: name, Help: help,
		}, []string{label})
	}
	gauge := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(metricsNamespace, "producer", name), help, nil, nil)
	}
	c := &producerCounts{
		admitted:    counter("admitted_sends_total", "Sends whose records were handed to the client."),
		joined:      counter("joined_sends_total", "Retries that joined a send on its way."),
		stored:      counter("stored_sends_total", "Callers that were told that their send is stored."),
		rejectedVec: vec("rejected_sends_total", "Callers that were told that their send wrote nothing, by code.", "code"),
		unknownVec:  vec("unknown_sends_total", "Callers that were told that the outcome of their send is unknown, by code.", "code"),
		errors:      vec("record_errors_total", "Records that were not stored, by the error that Kafka or the client gave.", "error"),
		sends:       gauge("inflight_sends", "Sends on their way to the log."),
		records:     gauge("inflight_records", "Records on their way to the log."),
		bytes:       gauge("inflight_bytes", "Bytes of the records on their way to the log."),
	}
	c.rejected = c.codes(c.rejectedVec, backplane.CodeOverloaded, backplane.CodeTooLarge, backplane.CodeForbidden, backplane.CodeShutdown)
	c.unknown = c.codes(c.unknownVec, backplane.CodeTimeout, backplane.CodeUnavailable)
	return c
}

// codes makes the counters of vec for codes, so that they show before they count
// and are found without a lock.
func (*producerCounts) codes(vec *prometheus.CounterVec, codes ...backplane.Code) map[backplane.Code]prometheus.Counter {
	m := make(map[backplane.Code]prometheus.Counter, len(codes))
	for _, code := range codes {
		m[code] = vec.WithLabelValues(string(code))
	}
	return m
}

// outcome counts what a caller is told.
func (c *producerCounts) outcome(out backplane.Outcome) {
	switch out.Status {
	case backplane.Stored:
		c.stored.Inc()
	case backplane.Rejected:
		c.rejected[out.Code].Inc()
	case backplane.Unknown:
		c.unknown[out.Code].Inc()
	}
}

// failed counts a record that was not stored.
func (c *producerCounts) failed(err error) { c.errors.WithLabelValues(errorLabel(err)).Inc() }

// errorLabel names an error for a label: Kafka's own name, or "client" for all
// that come from the client, whose texts are without number.
func errorLabel(err error) string {
	if ke, ok := errors.AsType[*kerr.Error](err); ok {
		return ke.Message
	}
	return "client"
}

func (c *producerCounts) collectors() []prometheus.Collector {
	return []prometheus.Collector{c.admitted, c.joined, c.stored, c.rejectedVec, c.unknownVec, c.errors}
}

func (c *producerCounts) describe(ch chan<- *prometheus.Desc) {
	for _, m := range c.collectors() {
		m.Describe(ch)
	}
	ch <- c.sends
	ch <- c.records
	ch <- c.bytes
}

func (c *producerCounts) collect(ch chan<- prometheus.Metric, sends, records int, bytes int64) {
	for _, m := range c.collectors() {
		m.Collect(ch)
	}
	ch <- prometheus.MustNewConstMetric(c.sends, prometheus.GaugeValue, float64(sends))
	ch <- prometheus.MustNewConstMetric(c.records, prometheus.GaugeValue, float64(records))
	ch <- prometheus.MustNewConstMetric(c.bytes, prometheus.GaugeValue, float64(bytes))
}

// consumerCounts has what a Consumer counts.
type consumerCounts struct {
	records prometheus.Counter
	pauses  prometheus.Counter
	skipped prometheus.Counter
	errors  *prometheus.CounterVec

	queued, paused, lag, assigned, failed *prometheus.Desc
}

func newConsumerCounts() *consumerCounts {
	opts := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: metricsNamespace, Subsystem: "consumer", Name: name, Help: help}
	}
	gauge := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(metricsNamespace, "consumer", name), help, labels, nil)
	}
	return &consumerCounts{
		records:  prometheus.NewCounter(opts("records_total", "Records handed out.")),
		pauses:   prometheus.NewCounter(opts("pauses_total", "Times a worker's partitions were paused because its queue was full.")),
		skipped:  prometheus.NewCounter(opts("lost_records_total", "Offsets that the log no longer had when they were to be read. Anything above 0 is an alarm.")),
		errors:   prometheus.NewCounterVec(opts("partition_errors_total", "Errors that stopped a partition until it was put back, by class. Anything above 0 is an alarm."), []string{"class"}),
		queued:   gauge("queued_records", "Records that wait for their worker.", "worker"),
		paused:   gauge("paused_workers", "Workers whose partitions are paused."),
		lag:      gauge("lag_records", "Records of a worker's partitions that were not handed out, by the ends that the last fetches told.", "worker"),
		assigned: gauge("assigned_partitions", "Partitions that are read."),
		failed:   gauge("failed_partitions", "Partitions that cannot be read now. Anything above 0 is an alarm."),
	}
}

func (c *consumerCounts) collectors() []prometheus.Collector {
	return []prometheus.Collector{c.records, c.pauses, c.skipped, c.errors}
}

func (c *consumerCounts) describe(ch chan<- *prometheus.Desc) {
	for _, m := range c.collectors() {
		m.Describe(ch)
	}
	for _, d := range []*prometheus.Desc{c.queued, c.paused, c.lag, c.assigned, c.failed} {
		ch <- d
	}
}

// The classes of errors of a Group, as the metrics name them.
const (
	classMember = "member" // of joining and staying in the group
	classStart  = "start"  // of beginning to read what was assigned
)

// groupCounts has what a Group counts beside its Consumer.
type groupCounts struct {
	errors   *prometheus.CounterVec
	assigned *prometheus.Desc
}

func newGroupCounts() *groupCounts {
	c := &groupCounts{
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: metricsNamespace, Subsystem: "group", Name: "errors_total",
			Help: "Errors of the membership in a consumer group, and of beginning to read what it assigned, by class.",
		}, []string{"class"}),
		assigned: prometheus.NewDesc(prometheus.BuildFQName(metricsNamespace, "group", "assigned_partitions"),
			"Partitions that the consumer group assigned to this member, whether or not they are read yet.", nil, nil),
	}
	c.errors.WithLabelValues(classMember)
	c.errors.WithLabelValues(classStart)
	return c
}

func (c *groupCounts) describe(ch chan<- *prometheus.Desc) {
	c.errors.Describe(ch)
	ch <- c.assigned
}

func (c *groupCounts) collect(ch chan<- prometheus.Metric, assigned int) {
	c.errors.Collect(ch)
	ch <- prometheus.MustNewConstMetric(c.assigned, prometheus.GaugeValue, float64(assigned))
}
