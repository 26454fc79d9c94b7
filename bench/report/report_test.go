package report

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	var r Recorder
	for _, v := range []float64{1.5, 1.1, 1.2} {
		r.Add("BenchmarkHandshake", "x-floor", v)
	}
	r.Add("BenchmarkLatency/rate=2000", "added-p50-us", 512)
	r.Add("BenchmarkUnicast", "msgs/s", 41234.5)
	var b strings.Builder
	if err := r.Table(&b); err != nil {
		t.Fatal(err)
	}
	const want = `| benchmark         | metric       | median | spread     | runs | goal   |             |
| ----------------- | ------------ | ------ | ---------- | ---- | ------ | ----------- |
| Handshake         | x-floor      | 1.2    | 1.1 to 1.5 | 3    | <= 1.3 | reached     |
| Latency/rate=2000 | added-p50-us | 512    |            | 1    | <= 300 | not reached |
| Unicast           | msgs/s       | 41,234 |            | 1    |        |             |
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	if r.Len() != 3 {
		t.Errorf("%d metrics", r.Len())
	}
}

func TestGrid(t *testing.T) {
	var r Recorder
	for _, v := range []float64{900, 800} {
		r.Add("BenchmarkBatching/linger=0s/compression=none", "p50-us", v)
	}
	r.Add("BenchmarkUnicast", "msgs/s", 41234.5)
	r.Add("BenchmarkBatching/linger=0s/compression=lz4", "p50-us", 1100)
	r.Add("BenchmarkBatching/linger=0s/compression=lz4", "cpu-us/msg", 30)
	var b strings.Builder
	if err := r.Table(&b); err != nil {
		t.Fatal(err)
	}
	const want = `| benchmark | metric | median | spread | runs | goal |  |
| --------- | ------ | ------ | ------ | ---- | ---- |  |
| Unicast   | msgs/s | 41,234 |        | 1    |      |  |

Batching:

| linger | compression | p50-us           | cpu-us/msg |
| ------ | ----------- | ---------------- | ---------- |
| 0s     | none        | 850 (800 to 900) |            |
| 0s     | lz4         | 1,100            | 30         |
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestJSON(t *testing.T) {
	var r Recorder
	var b strings.Builder
	if err := r.JSON(&b); err != nil || b.String() != "[]\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
	r.Add("BenchmarkUnicast", "msgs/s", 1)
	r.Add("BenchmarkUnicast", "msgs/s", 2)
	b.Reset()
	var rows []Row
	if err := r.JSON(&b); err != nil || json.Unmarshal([]byte(b.String()), &rows) != nil ||
		len(rows) != 1 || rows[0].Benchmark != "Unicast" || len(rows[0].Values) != 2 {
		t.Errorf("%q, %v", b.String(), err)
	}
}

func TestMedian(t *testing.T) {
	if m := Median([]float64{5, 1, 3}); m != 3 {
		t.Errorf("%v", m)
	}
	if m := Median([]float64{4, 1, 3, 2}); m != 2.5 {
		t.Errorf("%v", m)
	}
	if m := Median(nil); !math.IsNaN(m) {
		t.Errorf("%v", m)
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1", 1.25: "1.25", 1.256: "1.26", 12.345: "12.3", 999.4: "999", 999.6: "1,000", 0.0123: "0.0123",
		1000: "1,000", 1234567.8: "1,234,568", -1500: "-1,500", -0.5: "-0.5", 100: "100", 20: "20",
	} {
		if got := Number(v); got != want {
			t.Errorf("Number(%v) = %q, want %q", v, got, want)
		}
	}
}
