package spread

import "math"

// Distribution describes how many ids each partition got. Deviations are distances
// from the mean, in ids.
type Distribution struct {
	Partitions int
	IDs        int
	Mean       float64
	Min, Max   int
	// TotalDeviation is the sum of the partitions' deviations.
	TotalDeviation float64
	// MaxDeviation is the greatest of them.
	MaxDeviation float64
	// ChiSquare is Pearson's statistic against an even spread, divided by the degrees
	// of freedom (one less than the partitions). Ids thrown at random come out around
	// 1, with a standard deviation of sqrt(2/(partitions-1)); well above is uneven, well
	// below more even than chance. It is 0 for a single partition.
	ChiSquare float64
}

// Measure returns the measures of counts, the number of ids in each partition.
func Measure(counts []int) Distribution {
	d := Distribution{Partitions: len(counts)}
	if len(counts) == 0 {
		return d
	}
	d.Min = counts[0]
	for _, c := range counts {
		d.IDs += c
		d.Min = min(d.Min, c)
		d.Max = max(d.Max, c)
	}
	d.Mean = float64(d.IDs) / float64(len(counts))
	var squares float64
	for _, c := range counts {
		dev := math.Abs(float64(c) - d.Mean)
		d.TotalDeviation += dev
		d.MaxDeviation = max(d.MaxDeviation, dev)
		squares += dev * dev
	}
	if len(counts) > 1 && d.Mean > 0 {
		d.ChiSquare = squares / d.Mean / float64(len(counts)-1)
	}
	return d
}
