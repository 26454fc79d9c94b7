package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/tools/verify/mutation"
)

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"-nothing"}, {"-only", "nothing"}, {"something"}, {"-seed", "-1"}} {
		var out, errs bytes.Buffer
		if status := run(t.Context(), args, &out, &errs); status != exitUsage || errs.Len() == 0 || out.Len() > 0 {
			t.Errorf("%q: status %d, %q, %q", args, status, &out, &errs)
		}
	}
}

func TestList(t *testing.T) {
	all, err := mutation.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-list"}, {"-list", "-only", all[1].Name}} {
		var out, errs bytes.Buffer
		if status := run(t.Context(), args, &out, &errs); status != exitOK || errs.Len() > 0 {
			t.Errorf("%q: status %d, %q", args, status, &errs)
		}
		for i, m := range all {
			if got, want := strings.Contains(out.String(), m.About), len(args) == 1 || i == 1; got != want {
				t.Errorf("%q: %s is listed: %v, want %v", args, m.Name, got, want)
			}
		}
	}
}

// TestControls: each run is made once without bugs.
func TestControls(t *testing.T) {
	tune := mutation.Edit{Tunes: true, File: "a.go", Find: "1\n", Put: "2\n"}
	bug := mutation.Edit{File: "a.go", Find: "3\n", Put: "4\n"}
	flags, other := []string{"--users", "3"}, []string{"--users", "4"}
	var names []string
	for _, c := range controls([]mutation.Mutation{
		{Name: "a", Flags: flags, Edits: []mutation.Edit{bug}},
		{Name: "b", Flags: slices.Clone(flags), Edits: []mutation.Edit{bug, bug}},
		{Name: "c", Flags: other, Edits: []mutation.Edit{bug}},
		{Name: "d", Flags: flags, Edits: []mutation.Edit{tune, bug}},
		{Name: "e", Flags: flags, Edits: []mutation.Edit{bug, tune}},
	}) {
		names = append(names, c.Name)
		if slices.Contains(c.Edits, bug) {
			t.Errorf("%s has a bug", c.Name)
		}
	}
	if got := strings.Join(names, " "); got != "a c d" {
		t.Errorf("the controls are those of %s, want a c d", got)
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	rows := table{w: &out}
	rows.result("a", mutation.Result{
		Outcome: "failed", Violated: []string{"order", "protocol", "sequence"}, Caught: []string{"sequence", "order"}, Took: 12345 * time.Millisecond,
	})
	rows.result("b", mutation.Result{Outcome: "passed", Took: time.Second})
	want := []string{"a failed sequence, order protocol 12s", "b passed - - 1s"}
	for i, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
		if got := strings.Join(strings.Fields(line), " "); i >= len(want) || got != want[i] {
			t.Errorf("line %d is %q", i, got)
		}
	}
}
