package spread

import (
	"math"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/backplane"
)

func TestMeasure(t *testing.T) {
	for _, c := range []struct {
		name   string
		counts []int
		want   Distribution
	}{
		{"none", nil, Distribution{}},
		{"one", []int{7}, Distribution{Partitions: 1, IDs: 7, Mean: 7, Min: 7, Max: 7}},
		{"no ids", []int{0, 0}, Distribution{Partitions: 2}},
		{"even", []int{5, 5, 5}, Distribution{Partitions: 3, IDs: 15, Mean: 5, Min: 5, Max: 5}},
		{"uneven", []int{1, 5, 6}, Distribution{
			Partitions: 3, IDs: 12, Mean: 4, Min: 1, Max: 6,
			TotalDeviation: 6, MaxDeviation: 3, ChiSquare: 1.75, // (9+1+4)/4/2
		}},
		{"all in one", []int{0, 0, 0, 100}, Distribution{
			Partitions: 4, IDs: 100, Mean: 25, Min: 0, Max: 100,
			TotalDeviation: 150, MaxDeviation: 75, ChiSquare: 100,
		}},
	} {
		if got := Measure(c.counts); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestShapeIDs(t *testing.T) {
	for _, c := range []struct {
		shape Shape
		i     uint64
		want  string
	}{
		{Decimal, 0, "0"},
		{Decimal, 42, "42"},
		{Padded, 0, "000000000000"},
		{Padded, 42, "000000000042"},
		{Padded, 999_999_999_999, "999999999999"},
		{Padded, 1_000_000_000_000, "1000000000000"},
		{Prefixed, 42, "user-42"},
		{Email, 42, "ivo.kim42@mail.example"},
	} {
		if got := string(c.shape.AppendID(nil, c.i)); got != c.want {
			t.Errorf("%s %d: %q, want %q", c.shape, c.i, got, c.want)
		}
	}
	for i := range uint64(1000) {
		u := string(UUID.AppendID(nil, i))
		if len(u) != 36 || u[8] != '-' || u[13] != '-' || u[18] != '-' || u[23] != '-' ||
			u[14] != '4' || !strings.ContainsRune("89ab", rune(u[19])) {
			t.Fatalf("%q is no UUID of version 4", u)
		}
	}
}

func TestShapeIDsDiffer(t *testing.T) {
	for _, s := range Shapes() {
		seen := map[string]bool{}
		const ids = 20_000
		var buf []byte
		for i := range uint64(ids) {
			buf = s.AppendID(buf[:0], i)
			if err := backplane.ValidUser(buf); err != nil {
				t.Fatalf("%s: %q: %v", s, buf, err)
			}
			seen[string(buf)] = true
		}
		if len(seen) != ids {
			t.Errorf("%s: only %d of %d ids are different", s, len(seen), ids)
		}
	}
}

func TestParseShape(t *testing.T) {
	for _, s := range Shapes() {
		if got, err := ParseShape(string(s)); err != nil || got != s {
			t.Errorf("ParseShape(%q) = %q, %v", s, got, err)
		}
	}
	_, err := ParseShape("uuid7")
	if err == nil || !strings.Contains(err.Error(), "decimal, padded, prefixed, email, uuid") {
		t.Errorf("ParseShape of no shape: %v", err)
	}
}

// TestPartitionOfSpreads holds the partition function to what it was chosen for.
func TestPartitionOfSpreads(t *testing.T) {
	partitions := [...]int32{256, 360, 1000, 1024}
	for _, s := range Shapes() {
		var counts [len(partitions)][]int
		for k, n := range partitions {
			counts[k] = make([]int, n)
		}
		var buf []byte
		for i := range uint64(100_000) {
			buf = s.AppendID(buf[:0], i)
			for k, n := range partitions {
				counts[k][backplane.PartitionOf(buf, n)]++
			}
		}
		for k, n := range partitions {
			// Chance stays within five standard deviations of 1.
			limit := 1 + 5*math.Sqrt(2/float64(n-1))
			if d := Measure(counts[k]); d.ChiSquare > limit {
				t.Errorf("%s ids over %d partitions: chi-square %.3f per degree of freedom, want at most %.3f", s, n, d.ChiSquare, limit)
			}
		}
	}
}
