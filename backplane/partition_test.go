package backplane

import (
	"encoding/json"
	"os"
	"strconv"
	"testing"
)

// partitionVectors is testdata/partition.json.
type partitionVectors struct {
	Vectors []struct {
		User      string         `json:"user"`
		FNV       string         `json:"fnv1a64"`
		Hash      uint32         `json:"hash"`
		Partition map[string]int `json:"partition"`
	} `json:"vectors"`
}

func readJSON(t *testing.T, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func TestPartitionVectors(t *testing.T) {
	var file partitionVectors
	readJSON(t, "testdata/partition.json", &file)
	if len(file.Vectors) < 30 {
		t.Fatalf("only %d vectors", len(file.Vectors))
	}
	for _, v := range file.Vectors {
		if got := HashUser(v.User); got != v.Hash {
			t.Errorf("HashUser(%q) = %d, want %d", v.User, got, v.Hash)
		}
		for text, want := range v.Partition {
			n, err := strconv.ParseInt(text, 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			if got := PartitionOf(v.User, int32(n)); got != Partition(want) {
				t.Errorf("PartitionOf(%q, %d) = %d, want %d", v.User, n, got, want)
			}
			if got := PartitionOf([]byte(v.User), int32(n)); got != Partition(want) {
				t.Errorf("PartitionOf([]byte(%q), %d) = %d, want %d", v.User, n, got, want)
			}
		}
	}
}

// TestVectorsCatchSignedPorts proves that the vectors do their work: a port that
// folds or reduces with signed integers disagrees with some of them.
func TestVectorsCatchSignedPorts(t *testing.T) {
	var file partitionVectors
	readJSON(t, "testdata/partition.json", &file)
	var signedModulo, signedFold, plain int
	for _, v := range file.Vectors {
		h, err := strconv.ParseUint(v.FNV, 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		for text, want := range v.Partition {
			n, _ := strconv.ParseInt(text, 10, 64)
			// A 32-bit hash kept in an int32.
			if int(int32(v.Hash)%int32(n)) != want {
				signedModulo++
			}
			// The fold done with 64-bit signed integers, whose shift keeps the sign.
			if int((int64(h)>>32^int64(h)&0xffffffff)%n) != want {
				signedFold++
			}
			// The same with unsigned integers.
			if int(uint32(h>>32^h))%int(n) != want {
				plain++
			}
		}
	}
	if signedModulo == 0 || signedFold == 0 {
		t.Errorf("a signed modulo disagrees with %d vectors, a signed fold with %d; want some", signedModulo, signedFold)
	}
	if plain != 0 {
		t.Errorf("the rule as written disagrees with %d vectors", plain)
	}
}

func TestPartitionOfNeedsPartitions(t *testing.T) {
	for _, n := range []int32{0, -1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("PartitionOf(_, %d) did not panic", n)
				}
			}()
			PartitionOf("alice", n)
		}()
	}
}

func TestPartitionOfAllocs(t *testing.T) {
	user := []byte("nora.silva42@mail.example")
	if n := testing.AllocsPerRun(100, func() { PartitionOf(user, 1024) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkPartitionOf(b *testing.B) {
	user := []byte("nora.silva42@mail.example")
	b.ReportAllocs()
	for b.Loop() {
		PartitionOf(user, 1024)
	}
}
