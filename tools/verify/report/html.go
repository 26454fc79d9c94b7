package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/godwit-im/godwit/tools/verify/check"
	"github.com/godwit-im/godwit/tools/verify/event"
)

//go:embed page.html
var pageText string

// atOnce is how many violations of a check are shown at once; the others are folded away, so
// that the pictures are not far.
const atOnce = 2

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"clock": clock, "moment": moment, "span": span, "count": count, "size": size,
	"word": func(v check.Verdict) string { return verdicts[v].word },
	"share": func(a Attempts) string {
		if share, ok := a.Availability(); ok {
			return percent(share)
		}
		return "–"
	},
	"quantile": func(l Latency, d time.Duration) string {
		if l.Count == 0 {
			return "–"
		}
		return span(d)
	},
	"first": func(list []check.Evidence) []check.Evidence { return list[:min(len(list), atOnce)] },
	"rest":  func(list []check.Evidence) []check.Evidence { return list[min(len(list), atOnce):] },
	"next":  func() int { return atOnce + 1 },
	"args": func(p *page, part any) any {
		return struct {
			Page *page
			Part any
		}{p, part}
	},
}).Parse(pageText))

// page is what the template shows.
type page struct {
	*Report
	Headline string
	Start    string // of the run
	Tiles    []tile
	Violated []check.Finding
	Figures  []figure
}

// tile is a number that says much.
type tile struct {
	Name, Value, More string
}

// WriteHTML writes the report as one file that fetches nothing and runs no scripts.
func (r *Report) WriteHTML(w io.Writer) error {
	p := &page{
		Report: r, Headline: headlines[r.Outcome], Violated: r.findings(check.Violated), Tiles: r.tiles(),
	}
	if r.Story != nil {
		p.Figures = r.Story.figures()
		p.Start = time.UnixMilli(r.Story.Run.Start).UTC().Format("2 January 2006, 15:04 UTC")
	}
	var b strings.Builder
	if err := pageTemplate.Execute(&b, p); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	// HTML has no way to write control characters, and what names them is not ours.
	text := strings.Map(func(c rune) rune {
		if unicode.IsControl(c) && c != '\n' {
			return '\uFFFD'
		}
		return c
	}, b.String())
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

var headlines = map[check.Outcome]string{check.Passed: "Passed", check.Failed: "Failed", check.Unknown: "Unknown"}

func (r *Report) tiles() []tile {
	var list []tile
	if r.Check != nil {
		byVerdict := make(map[check.Verdict]int)
		for _, f := range r.Check.Findings {
			byVerdict[f.Verdict]++
		}
		var more []string
		for _, v := range []check.Verdict{check.Violated, check.NotTested} {
			if n := byVerdict[v]; n > 0 {
				more = append(more, fmt.Sprint(n, " ", verdicts[v].word))
			}
		}
		list = append(list, tile{"checks kept", fmt.Sprintf("%d of %d", byVerdict[check.OK], len(r.Check.Findings)), strings.Join(more, ", ")})
	}
	s := r.Story
	if s == nil {
		return list
	}
	acked := tile{Name: "messages acknowledged", Value: count(s.Totals.Attempts.Stored), More: count(s.Totals.Deliveries) + " deliveries"}
	if r.Check != nil {
		acked.Value = count(r.Check.Stats.Acked)
	}
	list = append(list, acked)
	if hit, all := s.hit(); all > 0 {
		list = append(list, tile{"faults that hit", fmt.Sprintf("%d of %d", hit, all), fmt.Sprint(s.kinds(), " kinds")})
	} else {
		list = append(list, tile{"faults", "none", ""})
	}
	if share, ok := s.Totals.Attempts.Availability(); ok {
		list = append(list, tile{"of attempts stored", percent(share), s.underFaults()})
	}
	if l := s.Totals.Ack; l.Count > 0 {
		list = append(list, tile{"median to ack", span(l.P50), "99 % within " + span(l.P99)})
	}
	if l := s.Totals.Deliver; l.Count > 0 {
		list = append(list, tile{"median to device", span(l.P50), "99 % within " + span(l.P99)})
	}
	return list
}

// underFaults says how many attempts were stored while there were faults, "" if there were none.
func (s *Story) underFaults() string {
	for _, p := range s.Phases {
		if share, ok := p.Attempts.Availability(); ok && p.Name == event.Faults && len(s.Faults) > 0 {
			return percent(share) + " under faults"
		}
	}
	return ""
}

// kinds returns how many kinds of faults there were.
func (s *Story) kinds() int {
	kinds := make(map[string]bool)
	for _, f := range s.Faults {
		kinds[f.Kind] = true
	}
	return len(kinds)
}
