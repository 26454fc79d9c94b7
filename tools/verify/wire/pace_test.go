package wire

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestPace reads through a pipe at a pace, by a clock that only moves when all wait.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		p := newPacedReader(here)
		go func() {
			_, _ = there.Write(make([]byte, 20_000)) // ends with the pipe
			there.Close()
		}()

		begin := time.Now()
		read := func(n int) time.Duration {
			t.Helper()
			if _, err := io.ReadFull(p, make([]byte, n)); err != nil {
				t.Fatal(err)
			}
			took := time.Since(begin)
			begin = time.Now()
			return took
		}
		if took := read(1000); took != 0 {
			t.Errorf("1000 bytes at full pace took %v", took)
		}
		p.set(1000, false)
		if took := read(3000); took != 3*time.Second {
			t.Errorf("3000 bytes at 1000 a second took %v", took)
		}
		p.set(NoPace, false)
		go func() {
			time.Sleep(time.Hour)
			p.set(FullPace, true)
			p.set(NoPace, false) // has no effect after a final one
		}()
		if took := read(16_000); took != time.Hour {
			t.Errorf("without a pace 16000 bytes took %v", took)
		}
		if n, err := p.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("at the end %d, %v", n, err)
		}
	})
}
