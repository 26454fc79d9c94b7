package mutation

import (
	"reflect"
	"strings"
	"testing"
)

const good = `Something is wrong.

checks: order, stored_on_devices
run: --users 30 --faults none

plant server/a.go
<<<<
	one

	two
====
	three
>>>>

tune server/b.go
<<<<
	four
====
>>>>
`

func TestParse(t *testing.T) {
	got, err := Parse("name", good)
	want := Mutation{
		Name: "name", About: "Something is wrong.",
		Checks: []string{"order", "stored_on_devices"}, Flags: []string{"--users", "30", "--faults", "none"},
		Edits: []Edit{
			{File: "server/a.go", Find: "\tone\n\n\ttwo\n", Put: "\tthree\n"},
			{File: "server/b.go", Find: "\tfour\n", Tunes: true},
		},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ old, put string }{
		"nothing":              {good, ""},
		"no sentence":          {"Something is wrong.", "Something"},
		"no empty line":        {"wrong.\n\n", "wrong.\n"},
		"no checks":            {"checks: order, stored_on_devices\n", ""},
		"a strange check":      {"order,", "Order,"},
		"an empty check":       {"order, ", "order, , "},
		"no run":               {"run: --users 30 --faults none\n", ""},
		"another word":         {"plant ", "put "},
		"no file":              {"plant server/a.go", "plant "},
		"no Go file":           {"server/a.go", "server/a.txt"},
		"a file outside":       {"server/a.go", "../a.go"},
		"an absolute path":     {"server/a.go", "/a.go"},
		"a path with dots":     {"server/a.go", "server/../a.go"},
		"no find line":         {"<<<<\n\tone", "\tone"},
		"nothing to find":      {"\tone\n\n\ttwo\n", ""},
		"no put line":          {"\tfour\n====\n", "\tfour\n"},
		"no end":               {"\tfour\n====\n>>>>\n", "\tfour\n====\n"},
		"nothing planted":      {"plant ", "tune "},
		"no edits":             {good[strings.Index(good, "\nplant"):], ""},
		"edits too close":      {">>>>\n\ntune", ">>>>\ntune"},
		"something at the end": {"====\n>>>>\n", "====\n>>>>\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(good, c.old, c.put, 1)
			if text == good {
				t.Fatal("the text is as it was")
			}
			if m, err := Parse("name", text); err == nil {
				t.Errorf("it is taken for %+v", m)
			} else if !strings.HasPrefix(err.Error(), "mutation: name, line ") {
				t.Errorf("the error does not say where: %v", err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Add(strings.Replace(good, "plant", "tune", 1))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse("name", text)
		if err != nil {
			return
		}
		for _, e := range m.Edits {
			if !strings.HasSuffix(e.Find, "\n") || e.Put != "" && !strings.HasSuffix(e.Put, "\n") {
				t.Errorf("%q, %q are not whole lines", e.Find, e.Put)
			}
		}
	})
}
