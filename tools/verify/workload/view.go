package workload

// view is a device's place in its user's timeline, and the latest places where it was: those
// that it can go back to. One goroutine at a time uses it.
type view struct {
	seen   int    // deliveries, signals among them
	marks  []mark // the latest, oldest first; none before the first welcome
	number uint64 // of the latest mark
}

// mark is a cursor that the device was told.
type mark struct {
	cursor    string
	seen      int    // deliveries up to it
	number    uint64 // marks have them in the order of the timeline
	heartbeat bool   // it is of a heartbeat
}

// begin begins the view anew at the cursor of a welcome.
func (v *view) begin(cursor string) {
	v.seen, v.marks = 0, v.marks[:0]
	v.note(cursor, false)
}

// took notes the cursor of a delivery.
func (v *view) took(cursor string) {
	v.seen++
	v.note(cursor, false)
}

// beat notes the cursor of a heartbeat.
func (v *view) beat(cursor string) { v.note(cursor, true) }

func (v *view) note(cursor string, heartbeat bool) {
	if len(v.marks) == remembered {
		v.marks = append(v.marks[:0], v.marks[1:]...)
	}
	v.number++
	v.marks = append(v.marks, mark{cursor, v.seen, v.number, heartbeat})
}

// at returns the mark that many steps before the latest, or the oldest. It reports false if
// there is none.
func (v *view) at(steps int) (mark, bool) {
	if len(v.marks) == 0 {
		return mark{}, false
	}
	return v.marks[max(len(v.marks)-1-steps, 0)], true
}

// back returns how many deliveries lie after a mark of the view: they come again.
func (v *view) back(m mark) int { return v.seen - m.seen }

// resume goes on from a mark of the view, which need not be among the latest any more.
func (v *view) resume(m mark) {
	v.seen = m.seen
	for len(v.marks) > 0 && v.marks[len(v.marks)-1].number > m.number {
		v.marks = v.marks[:len(v.marks)-1]
	}
	if len(v.marks) == 0 {
		v.marks = append(v.marks, m)
	}
}
