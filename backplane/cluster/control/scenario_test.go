package control

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
)

var update = flag.Bool("update", false, "write what the scenarios lead to into their files")

// TestScenarios plays the scenarios in testdata. A scenario is lines of input, each
// followed by what it led to, indented: decisions with their sentences and records. Run
// with -update to have that written.
//
//	cluster partitions=8 in_flight=4    begins
//	start n1 role=standby weight=2 capacity=100 ...   nodes start, or start again, and ask to join
//	run 4s                              nodes beat and act
//	kill n1                             a node ends
//	end n1                              a node ends, and says so
//	pause n1, resume n1                 a node stops, and goes on
//	mute n1, unmute n1                  nobody reads a node's beats
//	hold n1, free n1                    a node neither gets warm nor lets go
//	silence 20s                         the log is ill: nothing happens
//	fail                                the next decision is not written, and the controller dies
//	request id kind node key=value ...  somebody asks for something
//	put key json, delete key            a record of somebody else
//	show                                who has what
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scenarios", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, text)
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if !bytes.Equal(got, text) {
				t.Errorf("%s differs:\n%s", file, difference(string(text), string(got)))
			}
		})
	}
}

// difference returns the first lines in which two texts differ.
func difference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d: got  %s\n         want %s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

// play returns a scenario with what its lines lead to.
func play(t *testing.T, text []byte) []byte {
	var out bytes.Buffer
	var w *world
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if strings.HasPrefix(line, "  ") {
			continue // what the last run led to
		}
		fmt.Fprintln(&out, line)
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		words := strings.Fields(line)
		if words[0] == "cluster" {
			named := arguments(t, words[1:])
			w = newWorld(int32(named.number("partitions", 8)), named.number("in_flight", 32))
			w.decided = func(m *machine, d Decision) {
				fmt.Fprintf(&out, "  %s %s: %s\n%s", time.Duration(w.now-t0)*time.Millisecond, m.id, d.Entry, compact(d.Changes))
			}
			continue
		}
		if err := w.obey(&out, words, line); err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
	}
	return out.Bytes()
}

type named map[string]string

// arguments returns the words of the form key=value.
func arguments(t *testing.T, words []string) named {
	m := make(named)
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		if !ok {
			t.Fatalf("%q is not key=value", word)
		}
		m[key] = value
	}
	return m
}

func (n named) number(name string, otherwise int) int {
	if v, err := strconv.Atoi(n[name]); err == nil {
		return v
	}
	return otherwise
}

// obey does what a line says.
func (w *world) obey(out *bytes.Buffer, words []string, line string) error {
	named, names := make(named), []string(nil)
	for _, word := range words[1:] {
		if key, value, ok := strings.Cut(word, "="); ok {
			named[key] = value
		} else {
			names = append(names, word)
		}
	}
	each := func(do func(*machine)) error {
		for _, name := range names {
			if w.nodes[name] == nil {
				return fmt.Errorf("there is no node %s", name)
			}
			do(w.nodes[name])
		}
		return nil
	}
	switch words[0] {
	case "start":
		for _, name := range names {
			w.start(join(name, cluster.State(named["role"]), named.number("weight", 1), named.number("capacity", 1000)))
		}
	case "run", "silence":
		d, err := time.ParseDuration(names[0])
		if err != nil {
			return err
		}
		if words[0] == "run" {
			w.run(d.Milliseconds())
		} else {
			w.now += d.Milliseconds()
		}
	case "kill":
		return each(func(m *machine) { m.up = false })
	case "end":
		return each(w.end)
	case "pause":
		return each(func(m *machine) { m.paused = true })
	case "resume":
		return each(func(m *machine) { m.paused = false })
	case "hold":
		return each(func(m *machine) { m.held = true })
	case "free":
		return each(func(m *machine) { m.held = false })
	case "mute":
		w.dead = append(w.dead, names...)
	case "unmute":
		w.dead = slices.DeleteFunc(w.dead, func(id string) bool { return slices.Contains(names, id) })
	case "fail":
		w.failing = true
	case "request":
		r := cluster.Request{ID: names[0], Kind: cluster.Kind(names[1]), To: named["to"], By: "alice"}
		if len(names) > 2 {
			r.Node = names[2]
		}
		if v, err := strconv.Atoi(named["weight"]); err == nil {
			r.Weight = &v
		}
		if v, err := strconv.Atoi(named["moves_in_flight"]); err == nil {
			r.Live = &cluster.LiveChange{MovesInFlight: &v}
		}
		var err error
		if r.Partitions, err = cluster.ParseRanges(named["partitions"]); err != nil {
			return err
		}
		w.request(r)
	case "put":
		key, value, _ := strings.Cut(strings.TrimPrefix(line, "put "), " ")
		w.append(cluster.Parse(cluster.Record{Key: key, Value: []byte(value)}))
	case "delete":
		w.append(cluster.Delete(names[0]))
	case "show":
		w.show(out)
	default:
		return fmt.Errorf("nobody knows how to %q", words[0])
	}
	return nil
}

// show writes who has what.
func (w *world) show(out *bytes.Buffer) {
	s := w.snapshot()
	has := func(id string, role func(cluster.Assignment) string) cluster.Ranges {
		var ps []backplane.Partition
		for p := range backplane.Partition(s.N()) {
			if role(s.Assignment(p)) == id {
				ps = append(ps, p)
			}
		}
		return cluster.RangesOf(ps)
	}
	for _, n := range s.Nodes() {
		fmt.Fprintf(out, "  %s %s owner=%s next=%s previous=%s\n", n.ID, n.State,
			has(n.ID, func(a cluster.Assignment) string { return a.Owner }),
			has(n.ID, func(a cluster.Assignment) string { return a.Next }),
			has(n.ID, func(a cluster.Assignment) string { return a.Previous }))
	}
}
