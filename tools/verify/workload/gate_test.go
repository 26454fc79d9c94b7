package workload

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/tools/verify/wire"
)

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		passes := func(ctx context.Context, want time.Duration) {
			t.Helper()
			begun := time.Now()
			g.pass(ctx, 500)
			if took := time.Since(begun); took != want {
				t.Errorf("500 bytes take %v, want %v", took, want)
			}
		}
		passes(t.Context(), 0)
		g.set(1000)
		passes(t.Context(), time.Second/2)
		g.set(wire.NoPace)
		time.AfterFunc(time.Hour, func() { g.set(wire.FullPace) })
		passes(t.Context(), time.Hour)
		g.set(wire.NoPace)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		passes(ctx, time.Minute)
	})
}
