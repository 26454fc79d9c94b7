package report

import (
	"fmt"
	"time"
)

// figure is a part of the picture: some panes below each other, over one time axis.
type figure struct {
	ID          string
	Title       string
	Description string
	Height      px
	Strip       *strip // above the panes; nil in all but the first figure
	Bands       []bar  // faults, behind the panes
	Panes       []pane
	Ticks       []tick // of the time
	Marks       []px   // where phases begin
}

// pane is a diagram.
type pane struct {
	Title       string
	Keys        []key
	Top, Bottom px
	Ticks       []tick
	Shapes      []shape
}

// key explains a colour. Its class is that of the shape.
type key struct {
	Class, Label string
	At           px
}

// shape is a path.
type shape struct {
	Class, Path string
}

// bar is a rectangle over some time.
type bar struct {
	X, Y, Width px
	Label       string // what fits beside or into it
	LabelX      px
	Title       string // all there is to say
	Hit         px     // where the fault hit; 0 if it did not
}

// strip shows phases and faults by their names.
type strip struct {
	Phases []bar
	Lanes  []bar
	Bottom px
}

// Measures of what is in a figure.
const (
	titleHeight px = 30 // of a pane's title
	axisHeight  px = 24 // of the time's labels
	paneGap     px = 6  // between panes of a figure
	phaseHeight px = 20
	laneHeight  px = 16
	letterWidth px = 6.1 // of small letters, roughly
)

// figures draws the picture.
func (s *Story) figures() []figure {
	a := timeAxis{end: s.End}
	top := s.strip(a)
	answers := figure{ID: "answers", Title: "Answers to sends", Description: s.describeAnswers(), Strip: top}
	answers.add(s.answersPane(a, top.Bottom+titleHeight, 150))

	latency := figure{ID: "latency", Title: "Latency", Description: s.describeLatency()}
	latency.add(s.latencyPane(a, titleHeight, 120, "From a send to its acknowledgement",
		func(step *Step) Latency { return step.Ack }))
	latency.add(s.latencyPane(a, latency.bottom()+paneGap+titleHeight, 120, "From a send to each connected device",
		func(step *Step) Latency { return step.Deliver }))

	devices := figure{ID: "devices", Title: "Devices", Description: s.describeDevices()}
	devices.add(s.levelPane(a, titleHeight, 70, "Connected devices", "connected", float64(s.Totals.Devices),
		func(step *Step) int64 { return step.Connected }))
	devices.add(s.levelPane(a, devices.bottom()+paneGap+titleHeight, 90, "Acknowledged, and not yet seen by a device", "unseen", 0,
		func(step *Step) int64 { return step.Unseen }))

	list := []figure{answers, latency, devices}
	for i := range list {
		f := &list[i]
		f.Height = f.bottom() + axisHeight
		f.Ticks = a.ticks()
		for _, fault := range s.Faults {
			f.Bands = append(f.Bands, s.bar(a, fault))
		}
		for _, p := range s.Phases {
			f.Marks = append(f.Marks, a.x(p.Begin))
		}
	}
	return list
}

func (f *figure) add(p pane) { f.Panes = append(f.Panes, p) }

func (f *figure) bottom() px { return f.Panes[len(f.Panes)-1].Bottom }

// keyed places the keys of a pane, from the right.
func (p pane) keyed(keys ...key) pane {
	x := pictureWidth - pictureRight
	for i := len(keys) - 1; i >= 0; i-- {
		x -= px(len(keys[i].Label))*letterWidth + 40
		keys[i].At = x
	}
	p.Keys = keys
	return p
}

func (s *Story) answersPane(a timeAxis, top, height px) pane {
	second := s.Length.Seconds()
	rate := func(n func(*Step) int64) func(*Step) (float64, bool) {
		return func(step *Step) (float64, bool) { return float64(n(step)) / second, true }
	}
	sends := rate(func(step *Step) int64 { return step.Attempts.Sends })
	stored := rate(func(step *Step) int64 { return step.Answers.Stored })
	rejected := func(step *Step) int64 { return step.Answers.Rejected }
	unknown := func(step *Step) int64 { return step.Answers.Unknown }
	most := 0.0
	for i := range s.Steps {
		x, _ := sends(&s.Steps[i])
		y, _ := stored(&s.Steps[i])
		most = max(most, x, y)
	}
	sc, ticks := linear(top, top+height, most)
	// What never happened leaves a line out, not on the axis.
	some := func(n func(*Step) int64) func(*Step) (float64, bool) {
		return func(step *Step) (float64, bool) { return float64(n(step)) / second, n(step) > 0 }
	}
	return pane{
		Title: "Answers a second", Top: top, Bottom: top + height, Ticks: ticks,
		Shapes: []shape{
			{"stored area", trace(s, a, sc, true, stored)},
			{"sends line", trace(s, a, sc, false, sends)},
			{"stored line", trace(s, a, sc, false, stored)},
			{"rejected area", trace(s, a, sc, true, some(rejected))},
			{"rejected line", trace(s, a, sc, false, some(rejected))},
			{"unknown area", trace(s, a, sc, true, some(unknown))},
			{"unknown line", trace(s, a, sc, false, some(unknown))},
		},
	}.keyed(key{Class: "sends line", Label: "sends"}, key{Class: "stored line", Label: "acknowledged"},
		key{Class: "rejected line", Label: "rejected, to be retried"}, key{Class: "unknown line", Label: "unknown"})
}

func (s *Story) latencyPane(a timeAxis, top, height px, title string, of func(*Step) Latency) pane {
	least, most := time.Duration(0), time.Duration(0)
	for i := range s.Steps {
		if l := of(&s.Steps[i]); l.Count > 0 {
			if least == 0 || l.P50 < least {
				least = l.P50
			}
			most = max(most, l.Max)
		}
	}
	sc, ticks := logarithmic(top, top+height, least, most)
	line := func(d func(Latency) time.Duration) string {
		return trace(s, a, sc, false, func(step *Step) (float64, bool) {
			l := of(step)
			return float64(d(l)), l.Count > 0
		})
	}
	return pane{
		Title: title, Top: top, Bottom: top + height, Ticks: ticks,
		Shapes: []shape{
			{"max line", line(func(l Latency) time.Duration { return l.Max })},
			{"p99 line", line(func(l Latency) time.Duration { return l.P99 })},
			{"p50 line", line(func(l Latency) time.Duration { return l.P50 })},
		},
	}.keyed(key{Class: "p50 line", Label: "median"}, key{Class: "p99 line", Label: "99th percentile"}, key{Class: "max line", Label: "slowest"})
}

func (s *Story) levelPane(a timeAxis, top, height px, title, class string, most float64, level func(*Step) int64) pane {
	for i := range s.Steps {
		most = max(most, float64(level(&s.Steps[i])))
	}
	sc, ticks := linear(top, top+height, most)
	value := func(step *Step) (float64, bool) { return float64(level(step)), true }
	return pane{
		Title: title, Top: top, Bottom: top + height, Ticks: ticks,
		Shapes: []shape{
			{class + " area", trace(s, a, sc, true, value)},
			{class + " line", trace(s, a, sc, false, value)},
		},
	}
}

// bar places a fault in time. One that was not undone lasts to the end.
func (s *Story) bar(a timeAxis, f Fault) bar {
	end := f.End
	if end == Never {
		end = s.End
	}
	b := bar{X: a.x(f.Begin), Title: fmt.Sprintf("%d: %s of %s, from %s to %s; %s", f.N, f.Kind, f.Target, moment(f.Begin), moment(end), f.seen())}
	b.Width = max(a.x(end)-b.X, 1.5)
	if f.Hit != Never {
		b.Hit = a.x(f.Hit)
	}
	return b
}

// strip names phases and faults, each fault in the first lane where there is room for it
// and its name. Where there are too many for that they get only their numbers, and at last
// nothing.
func (s *Story) strip(a timeAxis) *strip {
	st := &strip{Bottom: phaseHeight}
	for _, p := range s.Phases {
		b := bar{X: a.x(p.Begin), Width: a.x(p.End) - a.x(p.Begin), Title: fmt.Sprintf("%s, from %s to %s", p.Name, moment(p.Begin), moment(p.End))}
		if name := string(p.Name); b.Width > px(len(name))*letterWidth+6 {
			b.Label, b.LabelX = name, b.X+b.Width/2
		}
		st.Phases = append(st.Phases, b)
	}
	labels := []func(Fault) string{
		func(f Fault) string { return fmt.Sprintf("%d %s %s", f.N, f.Kind, f.Target) },
		func(f Fault) string { return fmt.Sprint(f.N, " ", f.Kind) },
		func(f Fault) string { return fmt.Sprint(f.N) },
		func(Fault) string { return "" },
	}
	for _, label := range labels {
		lanes, fits := s.lanes(a, label)
		st.Lanes = lanes
		if fits {
			break
		}
	}
	for _, b := range st.Lanes {
		st.Bottom = max(st.Bottom, b.Y+laneHeight)
	}
	st.Bottom += 2
	return st
}

// lanes places the faults with their labels. It reports whether there is room for all.
func (s *Story) lanes(a timeAxis, label func(Fault) string) (bars []bar, fits bool) {
	free := make([]px, maxLanes) // from where each lane is
	fits = true
	for _, f := range s.Faults {
		b := s.bar(a, f)
		b.Label = label(f)
		width := px(len(b.Label)) * letterWidth
		// The label stands after the bar, or before it at the right edge.
		begin, end := b.X, b.X+b.Width
		if width > 0 {
			if b.LabelX = end + 4; b.LabelX+width <= pictureWidth {
				end = b.LabelX + width
			} else {
				b.LabelX = b.X - 4 - width
				begin = b.LabelX
			}
		}
		lane := 0
		for lane < maxLanes-1 && free[lane] > begin {
			lane++
		}
		fits = fits && free[lane] <= begin
		free[lane] = max(free[lane], end+8)
		b.Y = phaseHeight + 4 + laneHeight*px(lane)
		bars = append(bars, b)
	}
	return bars, fits
}

// The template asks for these: where what belongs to a part stands.

func (*page) Width() px       { return pictureWidth }
func (*page) Left() px        { return pictureLeft }
func (*page) Right() px       { return pictureWidth - pictureRight }
func (*page) TickX() px       { return pictureLeft - 6 }
func (*page) PhaseHeight() px { return phaseHeight - 1 }
func (f figure) TickY() px    { return f.Height - 7 }
func (p pane) Height() px     { return p.Bottom - p.Top }
func (p pane) TitleY() px     { return p.Top - 9 }
func (p pane) KeyY() px       { return p.Top - 13 }
func (k key) LabelX() px      { return k.At + 21 }
func (t tick) TextY() px      { return t.At + 4 }
func (b bar) MiddleY() px     { return b.Y + 5 }
func (b bar) TextY() px       { return b.Y + 9 }
