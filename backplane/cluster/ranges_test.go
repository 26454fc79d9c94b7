package cluster_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
)

func TestParseRanges(t *testing.T) {
	for _, test := range []struct {
		text, want string
		n          int
	}{
		{"", "", 0},
		{" ", "", 0},
		{"0", "0", 1},
		{"7-7", "7", 1},
		{"0-127,200", "0-127,200", 129},
		{" 0-127 , 200 ", "0-127,200", 129},
		{"200,0-127", "0-127,200", 129},
		{"3,1,2", "1-3", 3},
		{"4-5,0-3", "0-5", 6},
		{"9999", "9999", 1},
	} {
		rs, err := cluster.ParseRanges(test.text)
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		if rs.String() != test.want || rs.Len() != test.n || len(rs.Partitions()) != test.n {
			t.Errorf("%q: got %q with %d partitions, want %q with %d", test.text, rs, rs.Len(), test.want, test.n)
		}
	}
}

func TestParseRangesRefuses(t *testing.T) {
	const form = `is not a partition such as "200" or a run such as "0-127"`
	for _, test := range []struct{ text, want string }{
		{"a", `"a" ` + form},
		{"1,,2", `"" ` + form},
		{"1,", `"" ` + form},
		{"-5", `"-5" ` + form},
		{"5-", `"5-" ` + form},
		{"1-2-3", `"1-2-3" ` + form},
		{"1 - 2", `"1 - 2" ` + form},
		{"+1", `"+1" ` + form},
		{"99999999999", `"99999999999" ` + form},
		{"5-4", `"5-4" ends before it begins`},
		{"10000", `"10000" is above the last possible partition, 9999`},
		{"0-10000", `"0-10000" is above the last possible partition, 9999`},
		{"1,1", `"1,1" names partition 1 twice`},
		{"5-9,0-5", `"5-9,0-5" names partition 5 twice`},
		{"0-9,2-3", `"0-9,2-3" names partition 2 twice`},
		{strings.Repeat("1,", 17_000), `"1,1,1,1,1,1,1,1,..." is longer than 32768 bytes`},
	} {
		_, err := cluster.ParseRanges(test.text)
		var typed *cluster.RangesError
		if !errors.As(err, &typed) {
			t.Errorf("%.20q: the error is a %T, want a *RangesError", test.text, err)
		} else if err.Error() != test.want {
			t.Errorf("%.20q: error is %s, want %s", test.text, err, test.want)
		}
	}
}

func TestEverySecondPartitionCanBeWritten(t *testing.T) {
	var rs cluster.Ranges
	for _, p := range cluster.All(10_000).Partitions() {
		if p%2 == 1 {
			rs = append(rs, cluster.Range{First: p, Last: p})
		}
	}
	back, err := cluster.ParseRanges(rs.String())
	if err != nil {
		t.Fatal(err)
	}
	if back.Len() != 5000 {
		t.Errorf("%d partitions came back, want 5000", back.Len())
	}
}

func FuzzParseRanges(f *testing.F) {
	for _, text := range []string{"", "0", "0-127,200", "3,1,2", "5-4", "1,,2", "9999-10000", " 1 "} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rs, err := cluster.ParseRanges(text)
		if err != nil {
			return
		}
		last := -2
		for _, r := range rs {
			if int(r.First) <= last+1 || r.Last < r.First {
				t.Fatalf("%q: %v is not in order, or touches", text, rs)
			}
			last = int(r.Last)
		}
		again, err := cluster.ParseRanges(rs.String())
		if err != nil || again.String() != rs.String() {
			t.Fatalf("%q: %q is read back as %q, %v", text, rs, again, err)
		}
	})
}

func TestRangesOf(t *testing.T) {
	for _, test := range []struct {
		ps   []backplane.Partition
		want string
	}{
		{nil, ""},
		{[]backplane.Partition{3}, "3"},
		{[]backplane.Partition{9, 1, 2, 0, 2, 7, 8, 5}, "0-2,5,7-9"},
	} {
		before := slices.Clone(test.ps)
		rs := cluster.RangesOf(test.ps)
		if rs.String() != test.want || !slices.Equal(test.ps, before) {
			t.Errorf("%v gives %q, want %q, and is now %v", before, rs, test.want, test.ps)
		}
		for p := range backplane.Partition(12) {
			if got := rs.Contains(p); got != slices.Contains(before, p) {
				t.Errorf("%q contains %d: %v", rs, p, got)
			}
		}
	}
}
