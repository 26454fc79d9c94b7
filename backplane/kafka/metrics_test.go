package kafka_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
)

// find returns the metric of a collector that has the name and, in order of the
// labels' names, the label values; the sum of all that have the name if no values
// are given.
func find(t *testing.T, c prometheus.Collector, name string, labels ...string) *dto.Metric {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			if slices.Equal(values, labels) {
				return m
			}
		}
	}
	t.Fatalf("no metric %s with labels %q", name, labels)
	return nil
}

func gauge(t *testing.T, c prometheus.Collector, name string, labels ...string) float64 {
	t.Helper()
	return find(t, c, name, labels...).GetGauge().GetValue()
}

func counter(t *testing.T, c prometheus.Collector, name string, labels ...string) float64 {
	t.Helper()
	return find(t, c, name, labels...).GetCounter().GetValue()
}

// All metrics can be in one registry, are consistent, and are named as Prometheus
// asks.
func TestMetrics(t *testing.T) {
	cfg := kafkatest.Embedded(t, 4)
	p := newProducer(t, cfg)
	j := newJournal()
	c := newConsumer(t, cfg, 2, j)
	add(t, c, 0, 0, 1, 2, 3)
	if out := send(t, p, newSend(1, userIn(0, 4, 0), userIn(1, 4, 0))); out.Status != backplane.Stored {
		t.Fatalf("outcome %+v", out)
	}
	eventually(t, "two records", func() bool { return j.len() == 2 })

	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(p, c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.Contains(p.Metric, "_client_") {
			continue // named by the client's plugin
		}
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for name, want := range map[string]float64{
		"godwit_kafka_producer_admitted_sends_total": 1,
		"godwit_kafka_producer_stored_sends_total":   1,
	} {
		if got := counter(t, p, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	eventually(t, "two records are counted", func() bool { return counter(t, c, "godwit_kafka_consumer_records_total") == 2 })
	if got := gauge(t, c, "godwit_kafka_consumer_assigned_partitions"); got != 4 {
		t.Errorf("%v partitions assigned, want 4", got)
	}
	for _, worker := range []string{"0", "1"} {
		if got := gauge(t, c, "godwit_kafka_consumer_lag_records", worker); got != 0 {
			t.Errorf("worker %s lags %v records, want none", worker, got)
		}
	}
}
