package beats

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/backplane/cluster"
)

var update = flag.Bool("update", false, "write the golden files")

func ranges(t testing.TB, text string) cluster.Ranges {
	t.Helper()
	rs, err := cluster.ParseRanges(text)
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

func goldenBeats(t testing.TB) map[string]Beat {
	return map[string]Beat{
		"plain.json": {Node: "n1", Incarnation: 0xfeed, N: 1},
		"full.json": {
			Node: "node-2.example", Incarnation: 0xffff_ffff_ffff_fffe, N: 7_200, Version: 42, Controller: true, Degraded: true,
			Warm: ranges(t, "0-127,200"), Released: ranges(t, "9999"), Connections: 1_000_000, Last: true,
		},
	}
}

func TestBeatGolden(t *testing.T) {
	for name, b := range goldenBeats(t) {
		path := filepath.Join("testdata", name)
		value := b.Encode()
		if *update {
			if err := os.WriteFile(path, append(value, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if want = bytes.TrimSuffix(want, []byte("\n")); !bytes.Equal(value, want) {
			t.Errorf("%s: %s, want %s", name, value, want)
		}
		if got, err := Parse(want); err != nil || !reflect.DeepEqual(got, b) {
			t.Errorf("%s: Parse gives %+v, %v, want %+v", name, got, err, b)
		}
	}
}

// A node of a later version must not be suspected by one of this version: its beats count
// with all that is understood of them.
func TestParseLaterVersion(t *testing.T) {
	value, err := os.ReadFile("testdata/later.json")
	if err != nil {
		t.Fatal(err)
	}
	want := Beat{Node: "n1", Incarnation: 0xfeed, N: 12, Version: 7, Warm: ranges(t, "3"), Connections: 5}
	if got, err := Parse(value); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Parse gives %+v, %v, want %+v", got, err, want)
	}
}

func TestParseRefuses(t *testing.T) {
	const whole = `{"v":1,"node":"n1","incarnation":"1f","n":1,"version":2,"controller":true,"degraded":false,"warm":"1","released":"2","connections":3}`
	if _, err := Parse([]byte(whole)); err != nil {
		t.Fatal(err)
	}
	for name, replace := range map[string][2]string{
		"no JSON":                     {`{"v"`, `"v"`},
		"nothing":                     {whole, ""},
		"an array":                    {whole, "[]"},
		"no version":                  {`"v":1,`, ""},
		"version 0":                   {`"v":1,`, `"v":0,`},
		"no node":                     {`"n1"`, `""`},
		"a long node":                 {`"n1"`, `"` + strings.Repeat("n", MaxNode+1) + `"`},
		"an incarnation not in hex":   {`"1f"`, `"1g"`},
		"an incarnation of 65 bits":   {`"1f"`, `"10000000000000000"`},
		"no incarnation":              {`"1f"`, `""`},
		"beats counted from 0":        {`"n":1`, `"n":0`},
		"negative connections":        {`"connections":3`, `"connections":-3`},
		"partitions that are not any": {`"warm":"1"`, `"warm":"x"`},
		"too many bytes":              {whole, whole + strings.Repeat(" ", MaxBeat)},
	} {
		text := strings.Replace(whole, replace[0], replace[1], 1)
		if text == whole {
			t.Fatalf("%s: nothing was replaced", name)
		}
		if _, err := Parse([]byte(text)); !errors.Is(err, ErrBadBeat) {
			t.Errorf("%s: %v, want ErrBadBeat", name, err)
		}
	}
}

// The longest beat that a node can have fits.
func TestLongestBeat(t *testing.T) {
	var every []string
	for p := 0; p < 10_000; p += 2 {
		every = append(every, strconv.Itoa(p))
	}
	rs := ranges(t, strings.Join(every, ","))
	b := Beat{
		Node: strings.Repeat("n", MaxNode), Incarnation: 1<<64 - 1, N: 1<<64 - 1, Version: 1<<64 - 1,
		Warm: rs, Released: rs, Connections: 1<<63 - 1,
	}
	if _, err := Parse(b.Encode()); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	for _, b := range goldenBeats(f) {
		f.Add(b.Encode())
	}
	later, err := os.ReadFile("testdata/later.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(later)
	f.Add([]byte(`{"v":1,"node":"n","incarnation":"0","n":1,"warm":"5,1-2"}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		b, err := Parse(value)
		if err != nil {
			return
		}
		again, err := Parse(b.Encode())
		if err != nil || !reflect.DeepEqual(again, b) {
			t.Fatalf("%+v came back as %+v, %v", b, again, err)
		}
	})
}
