package metrics

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// timeout bounds one reading, and maxBytes its answer.
	timeout  = 10 * time.Second
	maxBytes = 16 << 20

	// own begin the names of a node's own metrics; the others are of its libraries.
	own = "godwit_"
)

// Values are the values of a node's own metrics by their names with labels, as Prometheus
// writes them. Values that are no numbers are left out.
type Values map[string]float64

// Sum adds up a metric over its labels. It is 0 where there is none of that name.
func (v Values) Sum(name string) (sum float64) {
	for full, value := range v {
		if bare(full) == name {
			sum += value
		}
	}
	return sum
}

// bare returns a metric's name without its labels.
func bare(name string) string {
	name, _, _ = strings.Cut(name, "{")
	return name
}

// client asks admin ports. It keeps no connections: a process that is killed leaves none.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// Fetch asks the admin port at a base URL. It gives up when ctx ends, and after 10 s.
func Fetch(ctx context.Context, admin string) (Values, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, admin+"/metrics", nil)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, errors.New("metrics: " + admin + ": " + answer.Status)
	}
	return parse(io.LimitReader(answer.Body, maxBytes))
}

// parse parses Prometheus's text format.
func parse(r io.Reader) (Values, error) {
	v := make(Values)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if !strings.HasPrefix(line, own) {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		if at < 0 {
			return nil, fmt.Errorf("metrics: %.200q is no metric", line)
		}
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("metrics: %.200q is no metric", line)
		}
		if !math.IsNaN(value) && !math.IsInf(value, 0) {
			v[line[:at]] = value
		}
	}
	return v, lines.Err()
}
