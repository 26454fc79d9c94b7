package cluster_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/backplane/cluster"
)

var update = flag.Bool("update", false, "write the golden files anew")

func ptr[T any](v T) *T { return &v }

func ranges(t testing.TB, text string) cluster.Ranges {
	t.Helper()
	rs, err := cluster.ParseRanges(text)
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

// samples has a body for each golden file: every kind of record, with all of its
// fields and with as few as it can have.
func samples(t testing.TB) map[string]cluster.Body {
	return map[string]cluster.Body{
		"settings": cluster.Settings{
			Version: 7, Partitions: 1024, Generation: 3, Created: 1_700_000_000_000,
			Live: cluster.Live{MovesInFlight: 16, MovedPerSecond: 250, LogLevel: "debug", SendsPerSecond: 20, SendsBurst: 40},
		},
		"settings-new": cluster.Settings{Version: 1, Partitions: 64, Generation: 1, Created: 1_700_000_000_000, Live: cluster.DefaultLive()},
		"node": cluster.Node{
			ID: "node-1", Version: 7, URL: "wss://chat-1.example.org/v1/connect", Admin: "https://chat-1.example.org:8081",
			Capacity: 1_000_000, Weight: 3, State: cluster.Active, Reason: cluster.ReasonJoined, Since: 1_700_000_000_001,
		},
		"node-suspected": cluster.Node{
			ID: "node-2", Version: 8, URL: "ws://10.0.0.2:8080/v1/connect", Admin: "http://10.0.0.2:8081",
			Capacity: 1, State: cluster.Standby, Reason: cluster.ReasonSuspected, Since: 1_700_000_000_002,
		},
		"partition":        cluster.Assignment{Partition: 17, Version: 9, Owner: "node-1"},
		"partition-moving": cluster.Assignment{Partition: 0, Version: 10, Owner: "node-1", Next: "node-2"},
		"partition-moved":  cluster.Assignment{Partition: 9999, Version: 11, Owner: "node-2", Next: "node-3", Previous: "node-1"},
		"controller":       cluster.Controller{Version: 12, Node: "node-1", Epoch: 2, Since: 1_700_000_000_003},
		"request-join": cluster.Request{
			ID: "0b5f2a3e-7c1d-4e52-9a55-6f0c9d1e2f30", Kind: cluster.KindJoin, Node: "node-3",
			URL: "ws://10.0.0.3:8080/v1/connect", Admin: "http://10.0.0.3:8081", Capacity: 50_000, Weight: ptr(0),
			Role: cluster.Standby, By: "node-3", At: 1_700_000_000_004,
		},
		"request-move": cluster.Request{
			ID: "r1", Kind: cluster.KindMove, Partitions: ranges(t, "0-127,200"), To: "node-3", By: "ops@example.org", At: 1_700_000_000_005,
		},
		"request-drain": cluster.Request{ID: "r2", Kind: cluster.KindDrain, Node: "node-1", By: "ops", At: 1_700_000_000_006},
		"request-settings": cluster.Request{
			ID: "r3", Kind: cluster.KindSettings, By: "ops", At: 1_700_000_000_007,
			Live: &cluster.LiveChange{MovesInFlight: ptr(8), MovedPerSecond: ptr(100), LogLevel: ptr(""), SendsPerSecond: ptr(0), SendsBurst: ptr(10)},
		},
		"result": cluster.Result{ID: "r2", Version: 13, OK: true, At: 1_700_000_000_008},
		"result-refused": cluster.Result{
			ID: "r1", Version: 14, Reason: cluster.CodeUnknownNode, Message: `The cluster has no node "node-3".`, At: 1_700_000_000_009,
		},
	}
}

// golden is the form of the files: a record as kcat would show it.
type golden struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

func readGolden(t testing.TB, path string) golden {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, g.Value); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	g.Value = compact.Bytes()
	return g
}

// TestGoldenRecords holds the formats, in both directions.
func TestGoldenRecords(t *testing.T) {
	seen := make(map[string]bool)
	for name, body := range samples(t) {
		path := filepath.Join("testdata", "records", name+".json")
		seen[path] = true
		r := cluster.Put(body).Record()
		if *update {
			text, err := json.MarshalIndent(golden{r.Key, r.Value}, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		g := readGolden(t, path)
		if r.Key != g.Key || string(r.Value) != string(g.Value) {
			t.Errorf("%s is written as\n%s %s, want\n%s %s", name, r.Key, r.Value, g.Key, g.Value)
		}
		c := cluster.Parse(cluster.Record{Key: g.Key, Value: g.Value, Offset: 5, Time: 6})
		if want := (cluster.Change{Key: g.Key, Body: body, Offset: 5, Time: 6}); !reflect.DeepEqual(c, want) {
			t.Errorf("%s is read as\n%+v, want\n%+v", name, c, want)
		}
	}
	files, err := filepath.Glob("testdata/records/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if !seen[path] {
			t.Errorf("%s belongs to no sample", path)
		}
	}
}

// TestUnknownFieldsAreKept reads records with fields of a later godwit, changes what
// it knows of them, and looks for the fields in what it writes.
func TestUnknownFieldsAreKept(t *testing.T) {
	for name, body := range samples(t) {
		r := cluster.Put(body).Record()
		value := strings.TrimSuffix(string(r.Value), "}") + `,"zone":{"rack":[1, 2.50],"URL":null},"a b":"<&>","Url":"x"}`
		c := cluster.Parse(cluster.Record{Key: r.Key, Value: []byte(value)})
		if _, foreign := c.Body.(cluster.Foreign); foreign {
			t.Errorf("%s with more fields is not understood: %v", name, c.Body.(cluster.Foreign).Err)
			continue
		}
		want := strings.TrimSuffix(string(r.Value), "}") + `,"Url":"x","a b":"<&>","zone":{"rack":[1, 2.50],"URL":null}}`
		if got := string(c.Record().Value); got != want {
			t.Errorf("%s is written as\n%s, want\n%s", name, got, want)
		}
	}

	c := cluster.Parse(cluster.Record{Key: "node/a", Value: []byte(`{"v":1,"state":"active","capacity":1,"zone":"b"}`)})
	n := c.Body.(cluster.Node)
	n.State = cluster.Draining
	var got map[string]any
	if err := json.Unmarshal(cluster.Put(n).Record().Value, &got); err != nil {
		t.Fatal(err)
	}
	if got["state"] != "draining" || got["zone"] != "b" {
		t.Errorf("a changed node is written as %v", got)
	}

	c = cluster.Parse(cluster.Record{Key: "settings", Value: []byte(`{"v":1,"partitions":4,"live":{"moves_in_flight":2,"quota":9}}`)})
	s := c.Body.(cluster.Settings)
	s.Live.MovesInFlight = 3
	if got := string(cluster.Put(s).Record().Value); !strings.Contains(got, `"moves_in_flight":3`) || !strings.Contains(got, `"quota":9`) {
		t.Errorf("changed settings are written as %s", got)
	}
}

func TestRecordsThatAreNotUnderstood(t *testing.T) {
	newer := new(cluster.NewerError)
	format := new(cluster.FormatError)
	for _, test := range []struct {
		key, value string
		want       any
	}{
		{"node/a", `{"v":2,"state":"active"}`, &newer},
		{"node/a", `{"v":2,"state":[]}`, &newer},
		{"settings", `{"v":18446744073709551615}`, &newer},
		{"quota/a", `{"v":2}`, &newer},
		{"quota/a", `{"v":1}`, &format},
		{"node/a", ``, &format},
		{"node/a", `null`, &format},
		{"node/a", `[]`, &format},
		{"node/a", `{"v":1,"state":"active"`, &format},
		{"node/a", `{"state":"active"}`, &format},
		{"node/a", `{"V":1,"state":"active"}`, &format},
		{"node/a", `{"v":0,"state":"active"}`, &format},
		{"node/a", `{"v":-1,"state":"active"}`, &format},
		{"node/a", `{"v":1.5,"state":"active"}`, &format},
		{"node/a", `{"v":"1","state":"active"}`, &format},
		{"node/a", `{"v":1,"state":"asleep"}`, &format},
		{"node/a", `{"v":1,"State":"active"}`, &format},
		{"node/a", `{"v":1,"state":"active","weight":-1}`, &format},
		{"node/a", `{"v":1,"state":"active","weight":10001}`, &format},
		{"node/a", `{"v":1,"state":"active","capacity":-1}`, &format},
		{"node/a", `{"v":1,"state":"active","capacity":"many"}`, &format},
		{"node/", `{"v":1,"state":"active"}`, &format},
		{"node/a/b", `{"v":1,"state":"active"}`, &format},
		{"node", `{"v":1,"state":"active"}`, &format},
		{"", `{"v":1}`, &format},
		{"settings/a", `{"v":1,"partitions":1}`, &format},
		{"settings", `{"v":1}`, &format},
		{"settings", `{"v":1,"partitions":0}`, &format},
		{"settings", `{"v":1,"partitions":10001}`, &format},
		{"settings", `{"v":1,"partitions":4,"live":7}`, &format},
		{"controller", `{"v":1,"node":""}`, &format},
		{"partition/0", `{"v":1}`, &format},
		{"partition/0", `{"v":1,"owner":"a b"}`, &format},
		{"partition/0", `{"v":1,"owner":"a","next":"?"}`, &format},
		{"partition/0", `{"v":1,"owner":"a","previous":"/"}`, &format},
		{"partition/00", `{"v":1,"owner":"a"}`, &format},
		{"partition/+1", `{"v":1,"owner":"a"}`, &format},
		{"partition/-1", `{"v":1,"owner":"a"}`, &format},
		{"partition/10000", `{"v":1,"owner":"a"}`, &format},
		{"partition/", `{"v":1,"owner":"a"}`, &format},
		{"request/", `{"v":1,"kind":"rebalance"}`, &format},
		{"request/r", `{"v":1,"kind":"move","partitions":"2-1"}`, &format},
		{"request/r", `{"v":1,"kind":"rebalance","by":"` + strings.Repeat("x", cluster.MaxRecord) + `"}`, &format},
	} {
		c := cluster.Parse(cluster.Record{Key: test.key, Value: []byte(test.value)})
		f, ok := c.Body.(cluster.Foreign)
		if !ok {
			t.Errorf("%.40s %.80s is read as %+v", test.key, test.value, c.Body)
			continue
		}
		if !errors.As(f.Err, test.want) {
			t.Errorf("%.40s %.80s: %T %.200v, want a %T", test.key, test.value, f.Err, f.Err, reflect.ValueOf(test.want).Elem().Interface())
		}
		if r := c.Record(); r.Key != test.key || string(r.Value) != test.value {
			t.Errorf("%.40s %.80s did not stay as it was", test.key, test.value)
		}
	}
}

func TestSettingsOutOfBoundsCountAsDefaults(t *testing.T) {
	for _, live := range []string{`"moves_in_flight":0`, `"moved_per_second":-1`, `"log_level":"loud"`, `"sends_burst":1000001`} {
		c := cluster.Parse(cluster.Record{Key: "settings", Value: []byte(`{"v":1,"partitions":4,"live":{` + live + `,"sends_per_second":3}}`)})
		s, ok := c.Body.(cluster.Settings)
		if !ok || s.Partitions != 4 || !reflect.DeepEqual(s.Live, cluster.DefaultLive()) {
			t.Errorf("%s is read as %+v", live, c.Body)
		}
	}
}

func TestTombstone(t *testing.T) {
	c := cluster.Parse(cluster.Record{Key: "node/a", Offset: 3})
	if c.Body != nil || c.Key != "node/a" || c.Offset != 3 {
		t.Errorf("a tombstone is read as %+v", c)
	}
	if r := cluster.Delete("node/a").Record(); r.Key != "node/a" || r.Value != nil {
		t.Errorf("a tombstone is written as %+v", r)
	}
}

func TestParseCopies(t *testing.T) {
	for _, text := range []string{`{"v":1,"state":"active","zone":"b"}`, `{"v":2,"zone":"b"}`} {
		value := []byte(text)
		c := cluster.Parse(cluster.Record{Key: "node/a", Value: value})
		before := string(c.Record().Value)
		for i := range value {
			value[i] = 'x'
		}
		if after := string(c.Record().Value); after != before {
			t.Errorf("%s became %s with the buffer that it was read from", before, after)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, body := range samples(f) {
		r := cluster.Put(body).Record()
		f.Add(r.Key, r.Value)
		f.Add(r.Key, bytes.Replace(r.Value, []byte(`"v":1`), []byte(`"v":2`), 1))
		f.Add(r.Key, append(bytes.TrimSuffix(r.Value, []byte("}")), `,"zone":[1]}`...))
	}
	f.Add("", []byte(nil))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		c := cluster.Parse(cluster.Record{Key: key, Value: value})
		r := c.Record()
		if _, foreign := c.Body.(cluster.Foreign); foreign && !bytes.Equal(r.Value, value) {
			t.Fatalf("%q, which is not understood, became %q", value, r.Value)
		}
		if again := cluster.Parse(r); !reflect.DeepEqual(again, c) {
			t.Fatalf("%q came back as %+v, was %+v", r.Value, again, c)
		}
		v := cluster.NewView()
		v.Apply(c)
		if got, ok, _ := v.Get(key); ok != (c.Body != nil && key != "") || ok && !reflect.DeepEqual(got, c) {
			t.Fatalf("the view has %+v, %v under %q, want %+v", got, ok, key, c)
		}
	})
}
