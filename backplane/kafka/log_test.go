package kafka

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestClientTellsLess(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(quiet{slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo})}).With("a", 1).WithGroup("g")
	log.Info("chatter")
	log.Warn("trouble")
	if got := out.String(); strings.Contains(got, "chatter") || !strings.Contains(got, "level=WARN msg=trouble a=1") {
		t.Errorf("logged %q", got)
	}
}
