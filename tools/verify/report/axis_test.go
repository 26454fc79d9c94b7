package report

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestTexts(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{clock(0), "0:00"},
		{clock(65*time.Second + 999*time.Millisecond), "1:05"},
		{clock(3 * time.Hour), "3:00:00"},
		{moment(59*time.Second + 960*time.Millisecond), "1:00.0"},
		{moment(1250 * time.Millisecond), "0:01.3"},
		{span(0), "0 µs"},
		{span(17 * time.Microsecond), "17 µs"},
		{span(1234 * time.Microsecond), "1.23 ms"},
		{span(12345 * time.Microsecond), "12.3 ms"},
		{span(123456 * time.Microsecond), "123 ms"},
		{span(1234 * time.Millisecond), "1.23 s"},
		{span(12345 * time.Millisecond), "12.3 s"},
		{span(123 * time.Second), "2:03 min"},
		{span(7384 * time.Second), "2:03:04 h"},
		{count(0), "0"},
		{count(999), "999"},
		{count(1000), "1,000"},
		{count(-1234567), "-1,234,567"},
		{count(-123), "-123"},
		{percent(0), "0.00 %"},
		{percent(0.5), "50.00 %"},
		{percent(1), "100 %"},
		{percent(0.99999), "99.99 %"},
		{size(24 << 30), "24.0 GiB"},
		{plural(1, "fault", "faults"), "1 fault"},
		{plural(1200, "fault", "faults"), "1,200 faults"},
		{px(3).String(), "3"},
		{px(3.14159).String(), "3.1"},
		{decade(10 * time.Microsecond), "10 µs"},
		{decade(time.Millisecond), "1 ms"},
		{decade(1000 * time.Second), "1,000 s"},
	} {
		if test.got != test.want {
			t.Errorf("it is %q, want %q", test.got, test.want)
		}
	}
}

func labels(ticks []tick) string {
	var list []string
	for _, t := range ticks {
		list = append(list, t.Label)
	}
	return strings.Join(list, " ")
}

func TestTicks(t *testing.T) {
	for end, want := range map[time.Duration]string{
		0:                  "0:00",
		5 * time.Second:    "0:00 0:01 0:02 0:03 0:04 0:05",
		61 * time.Second:   "0:00 0:10 0:20 0:30 0:40 0:50 1:00",
		2 * time.Hour:      "0:00 15:00 30:00 45:00 1:00:00 1:15:00 1:30:00 1:45:00 2:00:00",
		9 * 24 * time.Hour: "0:00:00 24:00:00 48:00:00 72:00:00 96:00:00 120:00:00 144:00:00 168:00:00 192:00:00 216:00:00",
	} {
		if got := labels(timeAxis{end}.ticks()); strings.TrimPrefix(got, "0:00") != strings.TrimPrefix(strings.TrimPrefix(want, "0:00:00"), "0:00") {
			t.Errorf("until %v: %s, want %s", end, got, want)
		}
	}
	for most, want := range map[float64]string{
		0: "0 1", 1: "0 1", 3: "0 1 2 3", 7: "0 2 4 6 8", 10: "0 5 10", 90: "0 25 50 75 100", 512: "0 200 400 600", 1700: "0 500 1,000 1,500 2,000",
	} {
		sc, ticks := linear(0, 100, most)
		if labels(ticks) != want || sc.high < most || sc.y(0) != 100 || sc.y(sc.high) != 0 {
			t.Errorf("up to %v: %s, want %s", most, labels(ticks), want)
		}
	}
	for _, test := range []struct {
		least, most time.Duration
		want        string
	}{
		{0, 0, "1 µs 10 µs"},
		{time.Millisecond, time.Millisecond, "1 ms 10 ms"},
		{300 * time.Microsecond, 1200 * time.Millisecond, "100 µs 1 ms 10 ms 100 ms 1 s 10 s"},
	} {
		sc, ticks := logarithmic(0, 100, test.least, test.most)
		if labels(ticks) != test.want || sc.y(0) != 100 || sc.y(sc.low) != 100 || sc.y(sc.high) != 0 {
			t.Errorf("%v to %v: %s, want %s", test.least, test.most, labels(ticks), test.want)
		}
	}
}

func TestTraceLeavesOutWhatIsNotThere(t *testing.T) {
	s := &Story{Length: time.Second, End: 4500 * time.Millisecond, Steps: make([]Step, 5)}
	for i := range s.Steps {
		s.Steps[i].Begin = time.Duration(i) * time.Second
	}
	values := []float64{1, 2, -1, 4, 0}
	value := func(step *Step) (float64, bool) { v := values[step.Begin/time.Second]; return v, v >= 0 }
	sc := scale{top: 0, bottom: 100, high: 4}
	a := timeAxis{4500 * time.Millisecond}
	x := func(ms int) px { return a.x(time.Duration(ms) * time.Millisecond) }
	line := fmt.Sprintf("M%v 75H%vV50H%vM%v 0H%vV100H%v", x(0), x(1000), x(2000), x(3000), x(4000), x(4500))
	if got := trace(s, a, sc, false, value); got != line {
		t.Errorf("the line is %s, want %s", got, line)
	}
	area := fmt.Sprintf("M%v 100V75H%vV50H%vV100ZM%v 100V0H%vV100H%vV100Z", x(0), x(1000), x(2000), x(3000), x(4000), x(4500))
	if got := trace(s, a, sc, true, value); got != area {
		t.Errorf("the area is %s, want %s", got, area)
	}
	if x(4500) != pictureWidth-pictureRight || x(0) != pictureLeft {
		t.Errorf("time goes from %v to %v", x(0), x(4500))
	}
}

// However many faults there are, they stay in their lanes and on the picture; as long as
// there is room they have their names, and none stands on another.
func TestLanes(t *testing.T) {
	for _, n := range []int{0, 1, 12, 40, 400, 4000} {
		s := &Story{End: time.Hour}
		for i := range n {
			begin := time.Hour * time.Duration(i) / time.Duration(n)
			s.Faults = append(s.Faults, Fault{N: i + 1, Kind: "controller-pause", Target: "node-1", Begin: begin, Hit: begin, End: begin + 10*time.Second})
		}
		st := s.strip(timeAxis{s.End})
		if len(st.Lanes) != n || st.Bottom > phaseHeight+6+maxLanes*laneHeight {
			t.Errorf("of %d faults there are %d, down to %v", n, len(st.Lanes), st.Bottom)
		}
		right := map[px]px{}
		for i, b := range st.Lanes {
			width := px(len(b.Label)) * letterWidth
			begin, end := b.X, b.X+b.Width
			if width > 0 {
				begin, end = min(begin, b.LabelX), max(end, b.LabelX+width)
			}
			if begin < 0 || end > pictureWidth+10 {
				t.Errorf("fault %d of %d is from %v to %v", i+1, n, begin, end)
			}
			if b.Label != "" && begin < right[b.Y] {
				t.Errorf("fault %d of %d begins at %v, where another stands until %v", i+1, n, begin, right[b.Y])
			}
			right[b.Y] = max(right[b.Y], end)
		}
		if n > 0 && n <= 12 && st.Lanes[0].Label != "1 controller-pause node-1" {
			t.Errorf("the first of %d is called %q", n, st.Lanes[0].Label)
		}
	}
}
