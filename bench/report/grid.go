package report

import (
	"io"
	"slices"
	"strings"
)

// Grids are the benchmarks that compare settings: their sub-benchmarks have names like
// linger=1ms/compression=lz4. Each gets a table of its own, with a line for each
// sub-benchmark, a column for each setting and one for each metric.
var Grids = []string{"Batching", "Collector"}

// gridOf returns the benchmark whose grid a row is in, "" if it is in none.
func gridOf(r *Row) string {
	family, rest, _ := strings.Cut(r.Benchmark, "/")
	if slices.Contains(Grids, family) && strings.Contains(rest, "=") {
		return family
	}
	return ""
}

// writeGrid writes the table of a grid: medians, each with its spread if there are
// several values.
func writeGrid(w io.Writer, rows []*Row) error {
	var names, metrics []string
	cells := map[[2]string]string{}
	for _, r := range rows {
		_, name, _ := strings.Cut(r.Benchmark, "/")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		if !slices.Contains(metrics, r.Metric) {
			metrics = append(metrics, r.Metric)
		}
		cell := Number(Median(r.Values))
		if len(r.Values) > 1 {
			cell += " (" + Number(slices.Min(r.Values)) + " to " + Number(slices.Max(r.Values)) + ")"
		}
		cells[[2]string{name, r.Metric}] = cell
	}
	keys, _ := settings(names[0])
	table := [][]string{append(keys, metrics...)}
	for _, name := range names {
		_, line := settings(name)
		for _, metric := range metrics {
			line = append(line, cells[[2]string{name, metric}])
		}
		table = append(table, line)
	}
	return writeTable(w, table)
}

// settings returns the settings in the name of a sub-benchmark.
func settings(name string) (keys, values []string) {
	for part := range strings.SplitSeq(name, "/") {
		key, value, _ := strings.Cut(part, "=")
		keys, values = append(keys, key), append(values, value)
	}
	return keys, values
}
