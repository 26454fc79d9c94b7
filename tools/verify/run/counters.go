package run

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// restPause is the time between two readings of a node at rest.
	restPause = 500 * time.Millisecond
	// metricsTimeout bounds one reading, and maxMetrics its bytes.
	metricsTimeout = 10 * time.Second
	maxMetrics     = 16 << 20
	// ownMetrics begin the names of a node's own metrics; the others are of its libraries.
	ownMetrics = "godwit_"
)

// under are the metrics that tell what is under way in a node, summed over their labels.
var under = []string{"godwit_kafka_producer_inflight_sends", "godwit_kafka_consumer_lag_records"}

// flows begin the names of the metrics that move when messages do.
var flows = []string{
	"godwit_kafka_consumer_records_total", "godwit_records_total", "godwit_targets_total",
	"godwit_deliveries_total", "godwit_left_to_catch_up_total", "godwit_drops_total",
}

// metrics are the values of a node's own metrics by their names with labels, as Prometheus
// writes them. Values that are no numbers are left out.
type metrics map[string]float64

// bare returns a metric's name without its labels.
func bare(name string) string {
	name, _, _ = strings.Cut(name, "{")
	return name
}

// sum adds up a metric over its labels.
func (m metrics) sum(name string) (sum float64) {
	for full, v := range m {
		if bare(full) == name {
			sum += v
		}
	}
	return sum
}

// moving returns those of flows with their values.
func (m metrics) moving() map[string]float64 {
	sums := make(map[string]float64, len(flows))
	for _, name := range flows {
		sums[name] = m.sum(name)
	}
	return sums
}

// parseMetrics parses Prometheus's text format.
func parseMetrics(r io.Reader) (metrics, error) {
	m := make(metrics)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if !strings.HasPrefix(line, ownMetrics) {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		if at < 0 {
			return nil, fmt.Errorf("%.200q is no metric", line)
		}
		v, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("%.200q is no metric", line)
		}
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			m[line[:at]] = v
		}
	}
	return m, lines.Err()
}

// adminClient asks admin ports. It keeps no connections.
var adminClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// fetchMetrics asks the admin port at a base URL.
func fetchMetrics(ctx context.Context, admin string) (metrics, error) {
	ctx, cancel := context.WithTimeout(ctx, metricsTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	answer, err := adminClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, errors.New(answer.Status)
	}
	return parseMetrics(io.LimitReader(answer.Body, maxMetrics))
}

// restingMetrics returns the metrics of a node in which nothing is under way any more and
// nothing has moved for restPause. If that does not come about before ctx ends, it returns
// what was read last, for the checks to judge; the error means that nothing could be read.
func restingMetrics(ctx context.Context, admin string) (last metrics, err error) {
	for {
		m, failed := fetchMetrics(ctx, admin)
		if failed == nil {
			busy := 0.0
			for _, name := range under {
				busy += m.sum(name)
			}
			if busy == 0 && last != nil && maps.Equal(m.moving(), last.moving()) {
				return m, nil
			}
			last = m
		}
		select {
		case <-time.After(restPause):
		case <-ctx.Done():
			if last == nil {
				return nil, fmt.Errorf("run: %s: %w", admin, errors.Join(ctx.Err(), failed))
			}
			return last, nil
		}
	}
}
