package e2e

import (
	"strconv"
	"strings"
	"testing"
)

// metrics is what /metrics says: values by name and labels, as in
// `godwit_drops_total{reason="gone"}`.
type metrics map[string]float64

// metrics asks a node for its metrics.
func (n *node) metrics(t testing.TB) metrics {
	t.Helper()
	m := make(metrics)
	for line := range strings.Lines(get(t, n.admin+"/metrics")) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		// The labels of other collectors may hold spaces, values do not.
		at := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			t.Fatalf("not a metric: %q", line)
		}
		m[line[:at]] = v
	}
	return m
}

// of returns the value of a metric, which must be there.
func (m metrics) of(t testing.TB, name string) float64 {
	t.Helper()
	v, ok := m[name]
	if !ok {
		t.Fatalf("there is no metric %s", name)
	}
	return v
}

// sum returns the sum of a metric over all its labels.
func (m metrics) sum(t testing.TB, name string) float64 {
	t.Helper()
	var total float64
	found := false
	for k, v := range m {
		if k == name || strings.HasPrefix(k, name+"{") {
			total += v
			found = true
		}
	}
	if !found {
		t.Fatalf("there is no metric %s", name)
	}
	return total
}

func label(name, key, value string) string { return name + "{" + key + `="` + value + `"}` }

// conserved waits until all that was sent has found its end, and checks that
// nothing is missing from the node's books: each record that was consumed was
// dispatched, for nobody, a duplicate or bad; each pair of a record and a
// connection was delivered, passed by a connection that catches up, or dropped for a
// reason. What the log has and the node does not know of yet does not count: the caller
// has waited for it.
func (n *node) conserved(t testing.TB) metrics {
	t.Helper()
	var m metrics
	var consumed, records, targets, ends float64
	const delivered, left = "godwit_deliveries_total", "godwit_left_to_catch_up_total"
	balanced := func() bool {
		m = n.metrics(t)
		consumed, records = m.of(t, "godwit_kafka_consumer_records_total"), m.sum(t, "godwit_records_total")
		targets, ends = m.of(t, "godwit_targets_total"), m.of(t, delivered)+m.of(t, left)+m.sum(t, "godwit_drops_total")
		return m.of(t, "godwit_kafka_producer_inflight_sends") == 0 && m.sum(t, "godwit_kafka_consumer_lag_records") == 0 &&
			consumed == records && targets == ends
	}
	eventually(t, "every record and every target is accounted for", balanced)
	if m.of(t, "godwit_kafka_consumer_lost_records_total") != 0 {
		t.Error("the consumer lost records")
	}
	return m
}
