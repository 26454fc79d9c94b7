package report

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// px is a length in the picture. It is written with a tenth, which is finer than a
// screen.
type px float64

func (p px) String() string { return strconv.FormatFloat(math.Round(float64(p)*10)/10, 'f', -1, 64) }

// The picture's measures. All its parts have the same margins, so that one stands exactly
// below the other.
const (
	pictureWidth px = 1120
	pictureLeft  px = 64
	pictureRight px = 12
)

// tick is a mark of an axis.
type tick struct {
	At    px
	Label string
}

// timeAxis places times across the picture.
type timeAxis struct{ end time.Duration }

func (a timeAxis) x(t time.Duration) px {
	return pictureLeft + (pictureWidth-pictureLeft-pictureRight)*px(min(1, float64(t)/float64(max(a.end, 1))))
}

// timeSteps are how far apart the ticks of a time axis may be.
var timeSteps = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
}

// ticks returns at most a dozen.
func (a timeAxis) ticks() []tick {
	const most = 12
	step := timeSteps[0]
	for _, step = range timeSteps {
		if a.end/step < most {
			break
		}
	}
	for a.end/step >= most {
		step *= 2
	}
	var list []tick
	for t := time.Duration(0); t <= a.end; t += step {
		list = append(list, tick{a.x(t), clock(t)})
	}
	return list
}

// scale places values between the bottom and the top of a pane.
type scale struct {
	top, bottom px
	low, high   float64
	log         bool
}

func (s scale) y(v float64) px {
	var share float64
	if s.log {
		share = math.Log(max(v, s.low)/s.low) / math.Log(s.high/s.low)
	} else {
		share = (v - s.low) / (s.high - s.low)
	}
	return s.bottom - (s.bottom-s.top)*px(min(max(share, 0), 1))
}

// linear returns a scale from 0 to a round number that is no less than most, and its ticks.
func linear(top, bottom px, most float64) (scale, []tick) {
	const intervals = 4
	step := math.Pow(10, math.Floor(math.Log10(max(most, 1)/intervals)))
	for _, factor := range []float64{1, 2, 2.5, 5, 10} {
		if rounded := step * factor; rounded*intervals >= most && rounded == math.Trunc(rounded) {
			step = rounded
			break
		}
	}
	step = max(step, 1)
	s := scale{top: top, bottom: bottom, high: step * math.Ceil(max(most, 1)/step)}
	var ticks []tick
	for v := 0.0; v <= s.high; v += step {
		ticks = append(ticks, tick{s.y(v), count(int64(v))})
	}
	return s, ticks
}

// logarithmic returns a scale of whole powers of ten around what is between least and most,
// and its ticks.
func logarithmic(top, bottom px, least, most time.Duration) (scale, []tick) {
	low, high := time.Microsecond, 10*time.Microsecond
	for low*10 <= least {
		low *= 10
	}
	for high < most || high <= low {
		high *= 10
	}
	s := scale{top: top, bottom: bottom, low: float64(low), high: float64(high), log: true}
	var ticks []tick
	for v := low; v <= high; v *= 10 {
		ticks = append(ticks, tick{s.y(float64(v)), decade(v)})
	}
	return s, ticks
}

// decade writes a power of ten.
func decade(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return strconv.FormatInt(d.Microseconds(), 10) + " µs"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	}
	return count(int64(d/time.Second)) + " s"
}

// trace returns the path of a value over the steps: level in each, and without a line where
// value has none. A path that is closed goes down to the bottom of the scale at its ends.
func trace(s *Story, a timeAxis, sc scale, closed bool, value func(*Step) (float64, bool)) string {
	var b strings.Builder
	put := func(parts ...any) {
		for _, p := range parts {
			switch p := p.(type) {
			case string:
				b.WriteString(p)
			case px:
				b.WriteString(p.String())
			}
		}
	}
	drawing := false
	var right px
	end := func() {
		if drawing && closed {
			put("V", sc.bottom, "Z")
		}
		drawing = false
	}
	for i := range s.Steps {
		step := &s.Steps[i]
		v, ok := value(step)
		if !ok {
			end()
			continue
		}
		left := a.x(step.Begin)
		right = a.x(min(step.Begin+s.Length, a.end))
		y := sc.y(v)
		switch {
		case drawing:
			put("V", y)
		case closed:
			put("M", left, " ", sc.bottom, "V", y)
		default:
			put("M", left, " ", y)
		}
		put("H", right)
		drawing = true
	}
	end()
	return b.String()
}
