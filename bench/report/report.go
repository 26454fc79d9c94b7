package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Recorder collects measured values.
type Recorder struct {
	mu struct {
		sync.Mutex
		rows []*Row
	}
}

// Row is a metric of a benchmark.
type Row struct {
	Benchmark string    `json:"benchmark"` // without the word Benchmark
	Metric    string    `json:"metric"`
	Values    []float64 `json:"values"` // in the order of the runs
}

// Add notes a value. name is the benchmark's as package testing has it.
func (r *Recorder) Add(name, metric string, value float64) {
	name = strings.TrimPrefix(name, "Benchmark")
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, row := range r.mu.rows {
		if row.Benchmark == name && row.Metric == metric {
			row.Values = append(row.Values, value)
			return
		}
	}
	r.mu.rows = append(r.mu.rows, &Row{name, metric, []float64{value}})
}

// Len returns how many metrics there are.
func (r *Recorder) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.mu.rows)
}

// Table writes the table, in Markdown: the median of each metric, the least and the
// largest value where there are several, and the goal. Those of Grids follow it.
func (r *Recorder) Table(w io.Writer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	cells := [][]string{{"benchmark", "metric", "median", "spread", "runs", "goal", ""}}
	grids := map[string][]*Row{}
	for _, row := range r.mu.rows {
		if grid := gridOf(row); grid != "" {
			grids[grid] = append(grids[grid], row)
			continue
		}
		sorted := slices.Sorted(slices.Values(row.Values))
		median := Median(sorted)
		spread := ""
		if len(sorted) > 1 {
			spread = Number(sorted[0]) + " to " + Number(sorted[len(sorted)-1])
		}
		goal, verdict := "", ""
		if g, ok := goalOf(row.Benchmark, row.Metric); ok {
			goal, verdict = "<= "+Number(g.Most), "reached"
			if median > g.Most {
				verdict = "not reached"
			}
		}
		cells = append(cells, []string{row.Benchmark, row.Metric, Number(median), spread, strconv.Itoa(len(sorted)), goal, verdict})
	}
	if len(cells) > 1 {
		if err := writeTable(w, cells); err != nil {
			return err
		}
	}
	for _, grid := range Grids {
		if len(grids[grid]) == 0 {
			continue
		}
		if _, err := fmt.Fprintf(w, "\n%s:\n\n", grid); err != nil {
			return err
		}
		if err := writeGrid(w, grids[grid]); err != nil {
			return err
		}
	}
	return nil
}

// JSON writes all values, an array of Rows.
func (r *Recorder) JSON(w io.Writer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	rows := r.mu.rows
	if rows == nil {
		rows = []*Row{}
	}
	return json.NewEncoder(w).Encode(rows)
}

func writeTable(w io.Writer, cells [][]string) error {
	widths := make([]int, len(cells[0]))
	for _, row := range cells {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	line := func(row []string) error {
		var b strings.Builder
		for i, cell := range row {
			fmt.Fprintf(&b, "| %-*s ", widths[i], cell)
		}
		_, err := fmt.Fprintln(w, b.String()+"|")
		return err
	}
	rule := make([]string, len(widths))
	for i, n := range widths {
		rule[i] = strings.Repeat("-", n)
	}
	for _, row := range slices.Insert(cells, 1, rule) {
		if err := line(row); err != nil {
			return err
		}
	}
	return nil
}

// Median returns the median of values, NaN if there are none.
func Median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Number returns v with three significant digits, or all digits of its whole part, and
// commas between the thousands.
func Number(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return strconv.FormatFloat(v, 'f', -1, 64)
	case math.Abs(v) < 1000:
		// The exponent after rounding says how many digits lie before the point.
		text := strconv.FormatFloat(v, 'e', 2, 64)
		_, exponent, _ := strings.Cut(text, "e")
		e, _ := strconv.Atoi(exponent)
		if e < 3 {
			return strings.TrimSuffix(trimZeros(strconv.FormatFloat(v, 'f', max(2-e, 0), 64)), ".")
		}
	}
	digits := strconv.FormatFloat(math.Abs(v), 'f', 0, 64)
	var b strings.Builder
	if v < 0 {
		b.WriteByte('-')
	}
	for i := range len(digits) {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteByte(digits[i])
	}
	return b.String()
}

// trimZeros takes the zeros off the end of a fraction.
func trimZeros(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimRight(s, "0")
}
