package report

import (
	"fmt"
	"time"
)

// The descriptions say in words what the picture shows, for those who don't see it.

func (s *Story) describeAnswers() string {
	var most int64
	silent := 0
	for i := range s.Steps {
		step := &s.Steps[i]
		most = max(most, step.Answers.Stored)
		if step.Attempts.Sends > 0 && step.Answers.Stored == 0 {
			silent++
		}
	}
	return fmt.Sprintf("From 0:00 to %s in steps of %s. At most %.0f sends a second were acknowledged. In %d steps there were sends and no acknowledgement. "+
		"Of all sends, %s were rejected to be retried, and %s were unknown. %s",
		clock(s.End), plural(int64(s.Length/time.Second), "second", "seconds"), float64(most)/s.Length.Seconds(), silent,
		count(s.Totals.Attempts.Rejected), count(s.Totals.Attempts.Unknown), s.describeFaults())
}

func (s *Story) describeFaults() string {
	hit, all := s.hit()
	if all == 0 {
		return "There were no faults."
	}
	return fmt.Sprintf("The times of %s are shaded, of which %d have hit.", plural(int64(all), "fault", "faults"), hit)
}

func (s *Story) describeLatency() string {
	describe := func(what string, l Latency) string {
		if l.Count == 0 {
			return what + " nothing was measured."
		}
		return fmt.Sprintf("%s the median was %s, the 99th percentile %s, and the slowest %s.", what, span(l.P50), span(l.P99), span(l.Max))
	}
	return describe("From a send to its acknowledgement", s.Totals.Ack) + " " +
		describe("From a send to each connected device", s.Totals.Deliver) + " The axes are logarithmic."
}

func (s *Story) describeDevices() string {
	var most int64
	var last time.Duration
	for i := range s.Steps {
		most = max(most, s.Steps[i].Unseen)
		if s.Steps[i].Unseen > 0 {
			last = s.Steps[i].Begin
		}
	}
	text := fmt.Sprintf("There were %s. At most %s deliveries were outstanding at a time",
		plural(s.Totals.Devices, "device", "devices"), count(most))
	if s.Totals.Unseen > 0 {
		return text + fmt.Sprintf(", and %s at the end.", count(s.Totals.Unseen))
	}
	if most > 0 {
		return text + fmt.Sprintf(", and none after %s.", clock(last+s.Length))
	}
	return text + "."
}
