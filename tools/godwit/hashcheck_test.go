package main_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
)

func TestHashCheck(t *testing.T) {
	out := godwit(t, t.TempDir(), nil, "hash-check", "--ids", "20000", "--partitions", "16").succeeds(t)
	for _, part := range []string{"20000 ids of each shape over 16 partitions\n", "\ndecimal, such as 42\n", "\nuuid, such as ", "  mean             1250.0 (", "  chi-square/df "} {
		if !strings.Contains(out, part) {
			t.Errorf("%q is missing in\n%s", part, out)
		}
	}
	// The rows of the five histograms count every partition once.
	partitions := 0
	for line := range strings.Lines(out) {
		if fields := strings.Fields(line); strings.Contains(line, "#") {
			n, err := strconv.Atoi(fields[len(fields)-1])
			if err != nil {
				t.Fatalf("%v in %q", err, line)
			}
			partitions += n
		}
	}
	if partitions != 5*16 {
		t.Errorf("the histograms count %d partitions, want %d:\n%s", partitions, 5*16, out)
	}
}

func TestHashCheckJSON(t *testing.T) {
	out := godwit(t, t.TempDir(), nil, "hash-check", "--ids", "5000", "--partitions", "10", "--shape", "email,uuid", "--json").succeeds(t)
	var got struct {
		IDs        int     `json:"ids"`
		Partitions int     `json:"partitions"`
		MaxChi2    float64 `json:"max_chi_square_per_degree"`
		Results    []struct {
			Shape          string   `json:"shape"`
			Mean           float64  `json:"mean"`
			Min            int      `json:"min"`
			Max            int      `json:"max"`
			TotalDeviation float64  `json:"total_deviation"`
			MaxDeviation   float64  `json:"max_deviation"`
			ChiSquare      float64  `json:"chi_square_per_degree"`
			Failures       []string `json:"failures"`
		} `json:"results"`
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if got.IDs != 5000 || got.Partitions != 10 || len(got.Results) != 2 || got.Results[0].Shape != "email" || got.Results[1].Shape != "uuid" {
		t.Fatalf("printed %s", out)
	}
	for _, r := range got.Results {
		if r.Mean != 500 || r.Min > 500 || r.Max < 500 || r.TotalDeviation <= 0 || r.MaxDeviation <= 0 || r.ChiSquare <= 0 || r.ChiSquare > got.MaxChi2 || r.Failures == nil {
			t.Errorf("result %+v does not fit together", r)
		}
	}
}

func TestHashCheckFails(t *testing.T) {
	for _, test := range []struct{ threshold, want string }{
		{"--max-chi2=0.001", "godwit: decimal ids: chi-square per degree of freedom is "},
		{"--max-deviation=0.001", "godwit: decimal ids: the greatest deviation in percent of the mean is "},
		{"--max-total-deviation=0.001", "godwit: decimal ids: the total deviation in percent of the ids is "},
	} {
		for _, form := range []string{"--json=false", "--json"} {
			r := godwit(t, t.TempDir(), nil, "hash-check", "--ids", "5000", "--partitions", "10", "--shape", "decimal", test.threshold, form)
			if r.status != 1 || r.stdout == "" || !strings.HasPrefix(r.stderr, test.want) || !strings.HasSuffix(r.stderr, ", above 0.001\n") {
				t.Errorf("%s: exit status %d, standard error %q, standard output %q", test.threshold, r.status, r.stderr, r.stdout)
			}
		}
	}
}

func TestHashCheckOfOnePartition(t *testing.T) {
	out := godwit(t, t.TempDir(), nil, "hash-check", "--ids", "100", "--partitions", "1", "--shape", "padded").succeeds(t)
	if !strings.Contains(out, "  mean             100.0 (100 to 100)\n") {
		t.Errorf("printed %s", out)
	}
}
