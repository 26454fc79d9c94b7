package metrics

import (
	"maps"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	m, err := parse(strings.NewReader(`# HELP godwit_drops_total Messages.
# TYPE godwit_drops_total counter
godwit_drops_total{reason="gone"} 3
godwit_drops_total{reason="a \"reason\" of words"} 4
godwit_drops 100
godwit_nothing NaN
godwit_forever +Inf
godwit_bytes 1.5e+09
go_goroutines 12
`))
	want := Values{
		`godwit_drops_total{reason="gone"}`: 3, `godwit_drops_total{reason="a \"reason\" of words"}`: 4, "godwit_drops": 100, "godwit_bytes": 1.5e9,
	}
	if err != nil || !maps.Equal(m, want) {
		t.Errorf("%v, %v", m, err)
	}
	if got := m.Sum("godwit_drops_total"); got != 7 {
		t.Errorf("the sum is %v", got)
	}
	for _, bad := range []string{"godwit_x", "godwit_x one"} {
		if _, err := parse(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
