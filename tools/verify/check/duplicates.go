package check

// window is W of the protocol, in milliseconds: a record is a duplicate when an earlier record
// of its partition has its message_id and a log time at most this much before its own.
const window = 60_000

// duplicates applies that rule to the records of one partition, in the order of their
// offsets. It remembers those of the last 2W, so that log times may go back by up to W.
type duplicates struct {
	latest map[uint32]int64 // log time by message
	queue  []timed          // in order of the records
}

type timed struct {
	msg  uint32
	time int64
}

// seen takes the next record, and reports whether it is a duplicate.
func (d *duplicates) seen(msg uint32, time int64) bool {
	if d.latest == nil {
		d.latest = make(map[uint32]int64)
	}
	for len(d.queue) > 0 && d.queue[0].time < time-2*window {
		if oldest := d.queue[0]; d.latest[oldest.msg] == oldest.time {
			delete(d.latest, oldest.msg)
		}
		d.queue = d.queue[1:]
	}
	before, known := d.latest[msg]
	d.queue = append(d.queue, timed{msg, time})
	if !known || time > before {
		d.latest[msg] = time
	}
	return known && time-before <= window
}
