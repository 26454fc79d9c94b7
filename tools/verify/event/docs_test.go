package event_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// docs/verify.md describes the format for others: all types, and all members of each.
func TestDocsDescribeEveryMember(t *testing.T) {
	text, err := os.ReadFile("../../../docs/verify.md")
	if err != nil {
		t.Fatal(err)
	}
	_, format, ok := strings.Cut(string(text), "\n## The history file\n")
	if !ok {
		t.Fatal("docs/verify.md does not describe the file")
	}
	format, _, _ = strings.Cut(format, "\n## ")
	sections := strings.Split(format, "\n### ")
	common := sections[0]
	described := make(map[string]string)
	for _, section := range sections[1:] {
		name, rest, _ := strings.Cut(section, "\n")
		described[name] = rest
	}
	for _, e := range examples() {
		section, ok := described[e.Type()]
		if !ok {
			t.Errorf("docs/verify.md does not describe %s", e.Type())
			continue
		}
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var value map[string]any
		if err := json.Unmarshal(b, &value); err != nil {
			t.Fatal(err)
		}
		for member := range members(value) {
			if !strings.Contains(section, "`"+member+"`") && !strings.Contains(common, "`"+member+"`") {
				t.Errorf("docs/verify.md does not describe %s of %s", member, e.Type())
			}
		}
	}
	types := make(map[string]bool)
	for _, e := range examples() {
		types[e.Type()] = true
	}
	for name := range described {
		if !types[name] {
			t.Errorf("docs/verify.md describes %s, which no event is", name)
		}
	}
}

// members returns the names of all members of a value, and of the values in it.
func members(value any) map[string]bool {
	all := make(map[string]bool)
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			all[name] = true
			for name := range members(inner) {
				all[name] = true
			}
		}
	case []any:
		for _, inner := range value {
			for name := range members(inner) {
				all[name] = true
			}
		}
	}
	return all
}
