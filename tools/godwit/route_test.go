package main_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/backplane"
)

func TestRoute(t *testing.T) {
	p := backplane.PartitionOf("Zoë", 360)
	dir := t.TempDir()
	want := fmt.Sprintf("partition %d of 360\n", p)
	if out := godwit(t, dir, nil, "route", "--user", "Zoë", "--partitions", "360").succeeds(t); out != want {
		t.Errorf("printed %q, want %q", out, want)
	}
	want = fmt.Sprintf(`{"user":"Zoë","partitions":360,"partition":%d}`+"\n", p)
	if out := godwit(t, dir, nil, "route", "--user", "Zoë", "--partitions", "360", "--json").succeeds(t); out != want {
		t.Errorf("printed %q, want %q", out, want)
	}
	want = fmt.Sprintf("partition %d of 1024\n", backplane.PartitionOf("bob", 1024))
	if out := godwit(t, dir, nil, "route", "--user", "bob").succeeds(t); out != want {
		t.Errorf("printed %q, want %q", out, want)
	}
}

func TestRouteWithAMap(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "godwit.yaml"), `
kafka: {partitions: 2}
token: {key_file: key}
map_version: 9
map:
  - {node: even, url: "ws://even:8080", partitions: 0}
  - {node: odd, url: "ws://odd:8080", partitions: 1}
`)
	p := backplane.PartitionOf("bob", 2)
	node := []string{"even", "odd"}[p]
	want := fmt.Sprintf("partition %d of 2\nnode %s at ws://%s:8080/v1/connect (map version 9)\n", p, node, node)
	if out := godwit(t, dir, nil, "route", "--user", "bob", "--config", "godwit.yaml").succeeds(t); out != want {
		t.Errorf("printed %q, want %q", out, want)
	}
	want = fmt.Sprintf(`{"user":"bob","partitions":2,"partition":%d,"node":%q,"url":"ws://%s:8080/v1/connect","map_version":9}`+"\n", p, node, node)
	if out := godwit(t, dir, nil, "route", "--user", "bob", "--config", "godwit.yaml", "--json").succeeds(t); out != want {
		t.Errorf("printed %q, want %q", out, want)
	}
	r := godwit(t, dir, nil, "route", "--user", "bob", "--config", "absent.yaml")
	if r.status != 1 || r.stdout != "" || r.stderr == "" {
		t.Errorf("without its file: exit status %d, printed %q, standard error %q", r.status, r.stdout, r.stderr)
	}
}

// TestRouteInACluster: the map of a cluster is known to its nodes only.
func TestRouteInACluster(t *testing.T) {
	_, admin := playCluster(t)
	p := backplane.PartitionOf("bob", 12)
	node := []string{"n1", "n1", "n1", "n1", "n3", "n3", "n2", "n2", "n2", "n2", "n3", "n3"}[p]
	want := fmt.Sprintf("partition %d\nnode %s at ws://%s.example/v1/connect (map version 11)\n", p, node, node)
	if out := godwit(t, t.TempDir(), nil, "route", "--user", "bob", "--admin", admin).succeeds(t); out != want {
		t.Errorf("printed %q, want %q", out, want)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "godwit.yaml"), "cluster: {enabled: true}\ntoken: {key_file: key}\n")
	r := godwit(t, dir, nil, "route", "--user", "bob", "--config", "godwit.yaml")
	if r.status != 1 || r.stdout != "" || !strings.Contains(r.stderr, "--admin") {
		t.Errorf("of settings without a map: exit status %d, printed %q, standard error %q", r.status, r.stdout, r.stderr)
	}
}
