package check_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// docs/verify.md has all checks in a table, in the order of reports.
func TestDocsDescribeEveryCheck(t *testing.T) {
	text, err := os.ReadFile("../../../docs/verify.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows strings.Builder
	rows.WriteString("\n## The checks\n\n| check | what must be true |\n| --- | --- |\n")
	for _, f := range judge(t, run(0)).Findings {
		fmt.Fprintf(&rows, "| `%s` | %s |\n", f.Check, f.Promise)
	}
	rows.WriteString("\n")
	if !strings.Contains(string(text), rows.String()) {
		t.Errorf("docs/verify.md does not have %s", rows.String())
	}
}
