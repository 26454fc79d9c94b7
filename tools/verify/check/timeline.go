package check

// timeline is a user's timeline as the log has it: its messages in the order of their
// offsets, without signals and without what the rule calls duplicates. It is made for one
// user at a time.
type timeline struct {
	user    *user
	records []entry
	// place has for each message 1 + the index of its last record, 0 if there is none.
	place []uint32
	// extra has how many more records than one a message has, if any: retries that came later
	// than the rule reaches.
	extra map[uint32]int
	// marks is scratch for checks, one number a message. Whoever uses it leaves it zero.
	marks []uint32
	// repeats are the deliveries, and the entries of pages, that came once too often.
	repeats []repeat
	counts  deliveries
}

func newTimeline(x *index, u *user, marks, place []uint32) *timeline {
	v := &timeline{user: u, marks: marks, place: place, extra: make(map[uint32]int)}
	for e := range u.log.all() {
		if e.op != opMessage || x.messages.at(e.n).has(isSignal) {
			continue
		}
		if place[e.n] != 0 {
			v.extra[e.n]++
		}
		v.records = append(v.records, e)
		place[e.n] = uint32(len(v.records))
	}
	v.findRepeats(x)
	return v
}

func (v *timeline) clear() {
	for _, e := range v.records {
		v.place[e.n] = 0
	}
}

// allowed returns how often a message may come to a device.
func (v *timeline) allowed(msg uint32) uint32 { return 1 + uint32(v.extra[msg]) }
