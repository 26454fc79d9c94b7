package mutation

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDocsDescribeEveryMutation: docs/verify.md has all of them in a table, each with what is
// wrong, checks that may find it, and how long that has taken.
func TestDocsDescribeEveryMutation(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "verify.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), "\n| mutation | what is wrong | found by | seconds |\n| --- | --- | --- | --- |\n")
	if !ok {
		t.Fatal("there is no table of the mutations")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	rows := strings.Split(table, "\n")
	mutations := all(t)
	if len(rows) != len(mutations) {
		t.Errorf("the table has %d rows for %d mutations", len(rows), len(mutations))
	}
	for i := range min(len(rows), len(mutations)) {
		m, cells := mutations[i], strings.Split(strings.Trim(rows[i], "|"), "|")
		for j := range cells {
			cells[j] = strings.TrimSpace(cells[j])
		}
		if len(cells) != 4 || cells[0] != "`"+m.Name+"`" || cells[1] != m.About || cells[3] == "" {
			t.Errorf("the row of %s is %q", m.Name, rows[i])
			continue
		}
		for _, check := range strings.Split(cells[2], ", ") {
			if !slices.Contains(m.Checks, strings.Trim(check, "`")) {
				t.Errorf("%s: %s is not one of the checks that may find it", m.Name, check)
			}
		}
	}
}
