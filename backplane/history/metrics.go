package history

import "github.com/prometheus/client_golang/prometheus"

// metricsNamespace begins the name of every metric of this package.
const metricsNamespace = "godwit_history"

// counts has what a Writer counts. All of it may be used by any goroutine.
type counts struct {
	entries     prometheus.Counter
	erasures    prometheus.Counter
	batches     prometheus.Counter
	retries     prometheus.Counter
	duplicates  prometheus.Counter
	bad         prometheus.Counter
	lostRanges  prometheus.Counter
	lostRecords prometheus.Counter

	applied, unapplied, otherLog *prometheus.Desc
}

func newCounts() *counts {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: metricsNamespace, Subsystem: "writer", Name: name, Help: help,
		})
	}
	gauge := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(metricsNamespace, "writer", name), help, nil, nil)
	}
	return &counts{
		entries:     counter("entries_total", "Entries of timelines that were written."),
		erasures:    counter("erasures_total", "Erasures of timelines that were written."),
		batches:     counter("batches_total", "Batches that were written."),
		retries:     counter("retries_total", "Attempts to write a batch that failed."),
		duplicates:  counter("duplicates_total", "Records that were left out as retries of one in the log."),
		bad:         counter("bad_records_total", "Records that are not messages."),
		lostRanges:  counter("lost_ranges_total", "Times that the log had deleted records before history had them. Anything above 0 is an alarm."),
		lostRecords: counter("lost_records_total", "Offsets in those ranges."),
		applied:     gauge("applied_time_seconds", "The highest log time that is applied in any partition, as Unix time; 0 before the first."),
		unapplied:   gauge("unapplied_time_seconds", "The log time of the oldest record that was read in the last second or waits to be written, as Unix time; 0 if there is none."),
		otherLog:    gauge("other_log", "1 if the log is not the one that the store was written from. That is an alarm."),
	}
}

// wrote counts a batch.
func (c *counts) wrote(b *Batch) {
	c.batches.Inc()
	c.entries.Add(float64(len(b.Entries)))
	c.erasures.Add(float64(len(b.Erasures)))
}

func (c *counts) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		c.entries, c.erasures, c.batches, c.retries, c.duplicates, c.bad, c.lostRanges, c.lostRecords,
	}
}

// Describe implements prometheus.Collector.
func (w *Writer) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range w.counts.collectors() {
		m.Describe(ch)
	}
	ch <- w.counts.applied
	ch <- w.counts.unapplied
	ch <- w.counts.otherLog
}

// Collect implements prometheus.Collector.
func (w *Writer) Collect(ch chan<- prometheus.Metric) {
	for _, m := range w.counts.collectors() {
		m.Collect(ch)
	}
	gauge := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	var applied int64
	for p := range w.applied {
		applied = max(applied, w.applied[p].Load().Time)
	}
	gauge(w.counts.applied, float64(applied)/1000)
	unapplied := w.unapplied()
	if unapplied == noTime {
		unapplied = 0
	}
	gauge(w.counts.unapplied, float64(unapplied)/1000)
	var other float64
	if w.otherLog.Load() {
		other = 1
	}
	gauge(w.counts.otherLog, other)
}
