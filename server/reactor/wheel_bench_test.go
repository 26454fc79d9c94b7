package reactor

import "testing"

// benchSlots is how many connections a loop has here.
const benchSlots = 1 << 20

// benchTurn is the time from one deadline of a connection to its next, in seconds.
const benchTurn = 300

// fullWheel returns a wheel whose slots all have a deadline, spread over a turn.
func fullWheel() *wheel {
	w := &wheel{now: 1000}
	for s := range benchSlots {
		w.set(s, 1001+uint32(s%benchTurn))
	}
	return w
}

// BenchmarkWheelSet moves a deadline among a million.
func BenchmarkWheelSet(b *testing.B) {
	w := fullWheel()
	b.ReportAllocs()
	s := 0
	for b.Loop() {
		w.set(s%benchSlots, 1300+uint32(s%benchTurn))
		s++
	}
}

// BenchmarkWheelAdvance lets a second pass with a million connections, each of whose
// deadlines is set anew when it fires. ns/fired is what one costs.
func BenchmarkWheelAdvance(b *testing.B) {
	w := fullWheel()
	fired := 0
	for range 2 * benchTurn { // so that the scratch has grown
		w.advance(w.now+1, func(slot int) { w.set(slot, w.now+benchTurn) })
	}
	b.ReportAllocs()
	for b.Loop() {
		w.advance(w.now+1, func(slot int) {
			w.set(slot, w.now+benchTurn)
			fired++
		})
	}
	if fired == 0 {
		b.Fatal("nothing fired")
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(fired), "ns/fired")
}
