package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/spread"
)

// maxCheckIDs bounds --ids: a thousand times a large system, and a minute or two.
const maxCheckIDs = 5_000_000_000

// hashCheck is the flags of the command.
type hashCheck struct {
	ids        uint64
	partitions int
	shapes     []string
	asJSON     bool

	// The thresholds. maxChi2 is per degree of freedom; 0 stands for its default, see
	// chi2Bound. The others are in percent, and 0 turns them off.
	maxChi2, maxDeviation, maxTotal float64
}

// checked is the result for ids of one shape, and its JSON. Deviations are from
// the mean, in ids and in percent.
type checked struct {
	Shape                 spread.Shape `json:"shape"`
	Mean                  float64      `json:"mean"`
	Min                   int          `json:"min"`
	Max                   int          `json:"max"`
	TotalDeviation        float64      `json:"total_deviation"`
	TotalDeviationPercent float64      `json:"total_deviation_percent"` // of all ids
	MaxDeviation          float64      `json:"max_deviation"`
	MaxDeviationPercent   float64      `json:"max_deviation_percent"` // of the mean
	ChiSquare             float64      `json:"chi_square_per_degree"`
	// Failures says which thresholds were passed; empty if none was.
	Failures []string `json:"failures"`

	counts []int
}

func newHashCheck() *cobra.Command {
	var h hashCheck
	cmd := &cobra.Command{
		Use:   "hash-check",
		Short: "Measure how evenly the partition function spreads users",
		Long: `Give ids of the shapes that users have to the partition function, and measure how
evenly they spread. The exit status is 1 when a threshold is passed.

Chi-square is Pearson's statistic for each degree of freedom: around 1 is as even
as chance, well above is uneven. Deviations are distances from the mean.`,
		Example: "  godwit hash-check --ids 5000000 --partitions 360\n  godwit hash-check --shape uuid --max-deviation 5 --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return h.run(cmd.OutOrStdout())
		},
	}
	var names []string
	for _, s := range spread.Shapes() {
		names = append(names, string(s))
	}
	f := cmd.Flags()
	f.Uint64Var(&h.ids, "ids", 5_000_000, "number of ids of each shape")
	f.IntVar(&h.partitions, "partitions", 360, "number of partitions")
	f.StringSliceVar(&h.shapes, "shape", names, "shapes of ids")
	f.Float64Var(&h.maxChi2, "max-chi2", 0, "greatest chi-square per degree of freedom (default: 1 and six times what chance varies)")
	f.Float64Var(&h.maxDeviation, "max-deviation", 0, "greatest deviation of a partition, in percent of the mean (default: not checked)")
	f.Float64Var(&h.maxTotal, "max-total-deviation", 0, "greatest sum of all deviations, in percent of the ids (default: not checked)")
	f.BoolVar(&h.asJSON, "json", false, "print JSON")
	return cmd
}

func (h *hashCheck) run(out io.Writer) error {
	switch {
	case h.ids < 1 || h.ids > maxCheckIDs:
		return usagef("--ids is %d: must be 1 to %d", h.ids, maxCheckIDs)
	case h.partitions < 1 || h.partitions > backplane.MaxPartitions:
		return usagef("--partitions is %d: must be 1 to %d", h.partitions, backplane.MaxPartitions)
	case h.maxChi2 < 0 || h.maxDeviation < 0 || h.maxTotal < 0:
		return usagef("a threshold is negative: it must be above 0, or 0 for its default")
	case len(h.shapes) == 0:
		return usagef("--shape is empty: it must name a shape of ids")
	}
	if h.maxChi2 == 0 {
		h.maxChi2 = chi2Bound(h.partitions)
	}
	var results []checked
	for _, name := range h.shapes {
		shape, err := spread.ParseShape(name)
		if err != nil {
			return usagef("--shape: %v", err)
		}
		results = append(results, h.check(shape))
	}
	if err := h.print(out, results); err != nil {
		return err
	}
	var failed []string
	for _, r := range results {
		for _, f := range r.Failures {
			failed = append(failed, fmt.Sprintf("%s ids: %s", r.Shape, f))
		}
	}
	if len(failed) > 0 {
		return errors.New(strings.Join(failed, "; "))
	}
	return nil
}

// chi2Bound returns the chi-square per degree of freedom that chance stays below:
// six standard deviations above its mean. The standard deviation of chi-square
// with d degrees of freedom is sqrt(2d).
func chi2Bound(partitions int) float64 {
	degrees := float64(max(partitions-1, 1))
	return 1 + 6*math.Sqrt(2/degrees)
}

// check measures the spread of ids of one shape.
func (h *hashCheck) check(shape spread.Shape) checked {
	counts := make([]int, h.partitions)
	var id []byte
	for i := range h.ids {
		id = shape.AppendID(id[:0], i)
		counts[backplane.PartitionOf(id, int32(h.partitions))]++
	}
	d := spread.Measure(counts)
	r := checked{
		Shape: shape, Mean: d.Mean, Min: d.Min, Max: d.Max,
		TotalDeviation: d.TotalDeviation, TotalDeviationPercent: 100 * d.TotalDeviation / float64(d.IDs),
		MaxDeviation: d.MaxDeviation, MaxDeviationPercent: 100 * d.MaxDeviation / d.Mean,
		ChiSquare: d.ChiSquare,
		Failures:  []string{}, // [] in JSON, not null
		counts:    counts,
	}
	over := func(value, bound float64, what string) {
		if bound > 0 && value > bound {
			r.Failures = append(r.Failures, fmt.Sprintf("%s is %.4g, above %.4g", what, value, bound))
		}
	}
	over(r.ChiSquare, h.maxChi2, "chi-square per degree of freedom")
	over(r.MaxDeviationPercent, h.maxDeviation, "the greatest deviation in percent of the mean")
	over(r.TotalDeviationPercent, h.maxTotal, "the total deviation in percent of the ids")
	return r
}

func (h *hashCheck) print(out io.Writer, results []checked) error {
	if h.asJSON {
		return json.NewEncoder(out).Encode(struct {
			IDs        uint64    `json:"ids"`
			Partitions int       `json:"partitions"`
			MaxChi2    float64   `json:"max_chi_square_per_degree"`
			Results    []checked `json:"results"`
		}{h.ids, h.partitions, h.maxChi2, results})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d ids of each shape over %d partitions\n", h.ids, h.partitions)
	for _, r := range results {
		fmt.Fprintf(&b, "\n%s, such as %s\n", r.Shape, r.Shape.AppendID(nil, 42))
		fmt.Fprintf(&b, "  mean             %.1f (%d to %d)\n", r.Mean, r.Min, r.Max)
		fmt.Fprintf(&b, "  total deviation  %.0f (%.3f%% of the ids)\n", r.TotalDeviation, r.TotalDeviationPercent)
		fmt.Fprintf(&b, "  max deviation    %.0f (%.3f%% of the mean)\n", r.MaxDeviation, r.MaxDeviationPercent)
		fmt.Fprintf(&b, "  chi-square/df    %.4f (at most %.4f)\n", r.ChiSquare, h.maxChi2)
		writeHistogram(&b, r.counts, r.Min, r.Max)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

const (
	histogramRows  = 8
	histogramWidth = 40 // characters of the longest bar
)

// writeHistogram draws how many partitions got how many ids, from low to high.
func writeHistogram(b *strings.Builder, counts []int, low, high int) {
	rows := min(histogramRows, high-low+1)
	var partitions [histogramRows]int
	most := 0
	for _, c := range counts {
		row := (c - low) * rows / (high - low + 1)
		partitions[row]++
		most = max(most, partitions[row])
	}
	digits := len(fmt.Sprint(high))
	for row := range rows {
		// The smallest count that falls into the row, and the one before the next row's.
		from := low + (row*(high-low+1)+rows-1)/rows
		to := low + ((row+1)*(high-low+1)+rows-1)/rows - 1
		n := partitions[row]
		bar := strings.Repeat("#", (n*histogramWidth+most-1)/most)
		line := fmt.Sprintf("  %*d-%-*d  %-*s %d", digits, from, digits, to, histogramWidth, bar, n)
		b.WriteString(line + "\n")
	}
}
