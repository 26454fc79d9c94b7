package report

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// clock writes a time since the run began as 4:05 or 1:04:05.
func clock(t time.Duration) string {
	s := int64(t / time.Second)
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// moment writes a time since the run began with a tenth of a second.
func moment(t time.Duration) string {
	tenths := (t + 50*time.Millisecond) / (100 * time.Millisecond)
	return fmt.Sprintf("%s.%d", clock(tenths*100*time.Millisecond), tenths%10)
}

// span writes how long something took, with about three digits.
func span(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprint(d.Microseconds(), " µs")
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d)/1e6)
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/1e6)
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", float64(d)/1e6)
	case d < 10*time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return clock(d) + map[bool]string{true: " min", false: " h"}[d < time.Hour]
}

// count writes a number with its thousands apart.
func count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	var out []byte
	for i, d := range []byte(digits) {
		if left := len(digits) - i; i > 0 && left%3 == 0 && digits[i-1] != '-' {
			out = append(out, ',')
		}
		out = append(out, d)
	}
	return string(out)
}

// percent writes a share from 0 to 1, rounded down: almost all is not all.
func percent(share float64) string {
	if share >= 1 {
		return "100 %"
	}
	return strconv.FormatFloat(math.Floor(share*1e4)/100, 'f', 2, 64) + " %"
}

// plural writes how many there are of something.
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// size writes a number of bytes.
func size(n int64) string {
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
