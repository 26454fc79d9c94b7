package cluster

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/godwit-im/godwit/backplane"
)

// MaxRangesText is the longest text that ParseRanges reads, in bytes: every
// second partition of the largest generation, written out one by one.
const MaxRangesText = 32 << 10

// Range is a run of partitions, both ends included.
type Range struct{ First, Last backplane.Partition }

// Ranges is a set of partitions: runs in ascending order that neither overlap
// nor touch. nil is the empty set.
type Ranges []Range

// All returns the partitions 0 to n-1.
func All(n int32) Ranges {
	if n <= 0 {
		return nil
	}
	return Ranges{{0, backplane.Partition(n - 1)}}
}

// RangesOf returns the set of the partitions in ps, which may come in any order and
// more than once.
func RangesOf(ps []backplane.Partition) Ranges {
	sorted := slices.Compact(slices.Sorted(slices.Values(ps)))
	var rs Ranges
	for _, p := range sorted {
		if n := len(rs); n > 0 && rs[n-1].Last+1 == p {
			rs[n-1].Last = p
			continue
		}
		rs = append(rs, Range{p, p})
	}
	return rs
}

// RangesError is the error for text that is not a set of partitions.
type RangesError struct {
	// Part is the piece of the text that is wrong.
	Part string
	// Reason completes the sentence "Part ...".
	Reason string
}

func (e *RangesError) Error() string { return fmt.Sprintf("%q %s", e.Part, e.Reason) }

// ParseRanges reads partitions and runs of partitions separated by commas, as in
// "0-127,200", in any order. Naming a partition twice is an error: it is the
// mark of a mistake in a map. The empty text is the empty set. Its error is a
// *RangesError.
func ParseRanges(text string) (Ranges, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	if len(text) > MaxRangesText {
		return nil, &RangesError{text[:16] + "...", fmt.Sprintf("is longer than %d bytes", MaxRangesText)}
	}
	var rs Ranges
	for part := range strings.SplitSeq(text, ",") {
		r, err := parseRange(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		rs = append(rs, r)
	}
	slices.SortFunc(rs, func(a, b Range) int { return int(a.First - b.First) })
	for i := 1; i < len(rs); i++ {
		if a, b := rs[i-1], rs[i]; b.First <= a.Last {
			return nil, &RangesError{text, fmt.Sprintf("names partition %d twice", b.First)}
		}
	}
	return rs.joined(), nil
}

func parseRange(part string) (Range, error) {
	first, last, isRun := strings.Cut(part, "-")
	if !isRun {
		last = first
	}
	a, err := parsePartition(part, first)
	if err != nil {
		return Range{}, err
	}
	b, err := parsePartition(part, last)
	if err != nil {
		return Range{}, err
	}
	if b < a {
		return Range{}, &RangesError{part, "ends before it begins"}
	}
	return Range{a, b}, nil
}

func parsePartition(part, number string) (backplane.Partition, error) {
	p, err := strconv.ParseUint(number, 10, 31)
	if err != nil {
		return 0, &RangesError{part, `is not a partition such as "200" or a run such as "0-127"`}
	}
	if p >= backplane.MaxPartitions {
		return 0, &RangesError{part, fmt.Sprintf("is above the last possible partition, %d", backplane.MaxPartitions-1)}
	}
	return backplane.Partition(p), nil
}

// joined joins the runs that touch. rs is sorted and free of overlaps.
func (rs Ranges) joined() Ranges {
	out := rs[:0]
	for _, r := range rs {
		if n := len(out); n > 0 && out[n-1].Last+1 == r.First {
			out[n-1].Last = r.Last
			continue
		}
		out = append(out, r)
	}
	return out
}

// Contains reports whether p is in the set.
func (rs Ranges) Contains(p backplane.Partition) bool {
	_, found := slices.BinarySearchFunc(rs, p, func(r Range, p backplane.Partition) int {
		switch {
		case r.Last < p:
			return -1
		case r.First > p:
			return 1
		}
		return 0
	})
	return found
}

// Len returns the number of partitions.
func (rs Ranges) Len() int {
	n := 0
	for _, r := range rs {
		n += int(r.Last-r.First) + 1
	}
	return n
}

// Partitions returns the partitions in ascending order.
func (rs Ranges) Partitions() []backplane.Partition {
	ps := make([]backplane.Partition, 0, rs.Len())
	for _, r := range rs {
		for p := r.First; p <= r.Last; p++ {
			ps = append(ps, p)
		}
	}
	return ps
}

// String writes the set the way ParseRanges reads it.
func (rs Ranges) String() string {
	var b strings.Builder
	for i, r := range rs {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(int(r.First)))
		if r.Last > r.First {
			b.WriteByte('-')
			b.WriteString(strconv.Itoa(int(r.Last)))
		}
	}
	return b.String()
}

// MarshalText implements encoding.TextMarshaler.
func (rs Ranges) MarshalText() ([]byte, error) { return []byte(rs.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (rs *Ranges) UnmarshalText(text []byte) error {
	parsed, err := ParseRanges(string(text))
	if err != nil {
		return err
	}
	*rs = parsed
	return nil
}
