package foreign

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/tools/processtest"
)

// vectorFiles returns the arguments of the program vectors.
func vectorFiles() []string {
	return []string{
		filepath.Join(root, "backplane", "testdata", "partition.json"),
		filepath.Join(root, "backplane", "testdata", "message_id.json"),
		filepath.Join(root, "codec", "testdata", "frames.json"),
		filepath.Join(root, "codec", "godwit.proto"),
	}
}

// TestVectors has other languages compute the published vectors with code of their
// own: what the files say is enough to do so, and true there too.
func TestVectors(t *testing.T) {
	files := vectorFiles()
	want := map[string]int{
		"partitions":  members(t, files[0], "vectors"),
		"message_ids": members(t, files[1], "vectors"),
		"frames":      members(t, files[2], "client", "server"),
	}
	for _, l := range languages {
		t.Run(l.name, func(t *testing.T) {
			p := processtest.Start(t, l.command(t, "vectors", files...))
			if code := p.Wait(t, patience); code != 0 {
				t.Fatalf("exit status %d:\n%s", code, p.Stderr.String())
			}
			var got map[string]int
			if err := json.Unmarshal([]byte(p.Stdout.String()), &got); err != nil {
				t.Fatalf("%v in %q", err, p.Stdout.String())
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("vectors that agree: %v, want %v", got, want)
			}
		})
	}
}

// TestVectorsCatchMistakes proves that the programs compare: with one digit of one
// vector changed they fail, and say where.
func TestVectorsCatchMistakes(t *testing.T) {
	for _, c := range []struct{ file, from, to, says string }{
		{"partition.json", `"64": 35,`, `"64": 36,`, "partition of"},
		{"message_id.json", "66d1ddd2b26985b6ef51b898f3bd402b", "66d1ddd2b26985b6ef51b898f3bd402c", "message_id: a plain message"},
		{"frames.json", "0a0d0a026d311203626f621a026869", "0a0d0a026d311203626f621a026868", "send, read from protobuf"},
	} {
		for _, l := range languages {
			t.Run(c.file+"/"+l.name, func(t *testing.T) {
				files := vectorFiles()
				for i := range files {
					if filepath.Base(files[i]) == c.file {
						files[i] = changed(t, files[i], c.from, c.to)
					}
				}
				p := processtest.Start(t, l.command(t, "vectors", files...))
				if code := p.Wait(t, patience); code == 0 || !strings.Contains(p.Stderr.String(), c.says) {
					t.Errorf("exit status %d, and it says %q; want a failure that says %q", code, p.Stderr.String(), c.says)
				}
			})
		}
	}
}

// members returns how many members some arrays of a JSON file have together.
func members(t *testing.T, file string, arrays ...string) int {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range arrays {
		var list []json.RawMessage
		if err := json.Unmarshal(all[name], &list); err != nil {
			t.Fatalf("%s of %s: %v", name, file, err)
		}
		n += len(list)
	}
	return n
}

// changed returns a copy of a file with one piece of text replaced.
func changed(t *testing.T, file, from, to string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(string(text), from, to, 1)
	if other == string(text) {
		t.Fatalf("%s does not contain %s", file, from)
	}
	copied := filepath.Join(t.TempDir(), filepath.Base(file))
	if err := os.WriteFile(copied, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	return copied
}
