package workload

import "testing"

func TestLedger(t *testing.T) {
	l := newLedger(2)
	lacks := func(want int64, open int) {
		t.Helper()
		if got := l.lacking(); got != want || len(l.open) != open {
			t.Errorf("%d are lacking, and %d messages open; want %d and %d", got, len(l.open), want, open)
		}
	}
	a, b, c := messageID{1}, messageID{2}, messageID{3}
	l.begin(a, 5, []int{7, 9})
	l.begin(b, 7, []int{5})
	l.begin(c, 7, []int{5})
	lacks(0, 3) // nobody knows whether they are stored
	l.seen(a, 7, 1)
	l.stored(a)
	lacks(5, 3)
	l.stored(a)
	l.seen(a, 7, 1)
	l.seen(a, 8, 0) // whom it does not concern
	lacks(5, 3)
	for _, who := range [][2]int{{5, 0}, {5, 1}, {7, 0}, {9, 0}} {
		l.seen(a, who[0], who[1])
	}
	lacks(1, 3)
	l.stored(b)
	lacks(5, 3)
	l.anew(5, 1)
	lacks(4, 3)
	l.drop(a) // what is stored stays
	l.drop(c)
	lacks(4, 2)
	l.seen(a, 9, 1)
	lacks(3, 1)
	for _, who := range [][2]int{{7, 0}, {7, 1}, {5, 0}} {
		l.seen(b, who[0], who[1])
	}
	lacks(0, 0)
	l.stored(c) // too late
	lacks(0, 0)
}

// TestLedgerIsFull has the largest message fit.
func TestLedgerIsFull(t *testing.T) {
	l := newLedger(maxDevices)
	to := make([]int, maxRecipients)
	for i := range to {
		to[i] = i + 1
	}
	l.begin(messageID{1}, 0, to)
	l.stored(messageID{1})
	if got, want := l.lacking(), int64((1+maxRecipients)*maxDevices); got != want {
		t.Errorf("%d are lacking, want %d", got, want)
	}
	for u := range 1 + maxRecipients {
		for d := range maxDevices {
			l.seen(messageID{1}, u, d)
		}
	}
	if l.lacking() != 0 || len(l.open) != 0 {
		t.Errorf("%d are lacking at the end, and %d messages open", l.lacking(), len(l.open))
	}
}
