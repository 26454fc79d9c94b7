package bench

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/godwit-im/godwit/backplane/history/cassandratest"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/bench/load"
	"github.com/godwit-im/godwit/bench/report"
	"github.com/godwit-im/godwit/tools/processtest"
)

var (
	quick    = flag.Bool("quick", false, "small sizes: to see that everything works")
	conns    = flag.Int("conns", 0, "connections of BenchmarkMillion (default: 100,000, with -quick 25,000)")
	rounds   = flag.Int("rounds", 0, "how often floor and godwit take turns (default: 2, with -quick 1)")
	jsonFile = flag.String("json", "", "write all values to this `file`")
	progress = flag.Bool("progress", false, "tell on standard error how it goes")
)

// size returns the full size, or the small one with -quick.
func size[T any](full, small T) T {
	if *quick {
		return small
	}
	return full
}

// table collects what is reported.
var table report.Recorder

// root is the folder of the repository.
var root = filepath.Join("..")

// loadVariable makes this test binary a load process.
const loadVariable = "GODWIT_BENCH_LOAD"

func TestMain(m *testing.M) {
	if os.Getenv(loadVariable) != "" {
		if err := load.Serve(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	// A benchmark here is one measurement, not a loop.
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.benchtime" })
	if !given {
		if err := flag.Set("test.benchtime", "1x"); err != nil {
			panic(err)
		}
	}
	if *rounds == 0 {
		*rounds = size(2, 1)
	}
	code := m.Run()
	kafkatest.Stop()
	cassandratest.Stop()
	if err := writeReport(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		code = 1
	}
	os.Exit(code)
}

func writeReport() error {
	if table.Len() == 0 {
		return nil
	}
	fmt.Println()
	err := table.Table(os.Stdout)
	if *jsonFile == "" {
		return err
	}
	f, openErr := os.Create(*jsonFile)
	if openErr != nil {
		return errors.Join(err, openErr)
	}
	return errors.Join(err, table.JSON(f), f.Close())
}

// metric reports a value.
func metric(b *testing.B, name string, value float64) {
	b.Helper()
	b.ReportMetric(value, name)
	table.Add(b.Name(), name, value)
}

// noTime leaves out the time of an operation, which has no meaning here.
func noTime(b *testing.B) { b.ReportMetric(0, "ns/op") }

// tell tells how it goes.
func tell(format string, args ...any) {
	if *progress {
		fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
	}
}

// built are the programs that were built, by name; building is done once.
var built = map[string]string{}

// build builds a package of the module in dir and returns the program.
func build(tb testing.TB, name, dir, pkg string) string {
	tb.Helper()
	if program := built[name]; program != "" {
		return program
	}
	program, err := processtest.Build(root, filepath.Join("bench", name), dir, pkg, "-trimpath")
	if err != nil {
		tb.Fatal(err)
	}
	built[name] = program
	return program
}
