package report

import (
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
)

// device is what is known of a device.
type device struct {
	user    *user
	open    int                // connections
	view    uint32             // how often its view of the timeline began
	missing int64              // acknowledged messages that it has not seen in this view
	pending map[string]attempt // sends without an answer, by the client's id
}

// attempt is an attempt to send.
type attempt struct {
	message event.MessageID
	at      time.Duration
	phase   int // the index, -1 before the first
}

// message is a message that may still come to somebody.
type message struct {
	sent   time.Duration // first
	phase  int           // in which
	must   bool          // it is neither a signal nor has it a ttl
	stored bool
	waits  []wait // for the devices that have not seen it
}

// wait is that of a device for a message.
type wait struct {
	device *device
	view   uint32 // the device's when the message was sent; if it has another, it waits no more
	live   bool   // it was connected when the message was sent
}

// flight is what is on its way.
type flight struct {
	messages map[event.MessageID]*message
	queue    queue[event.MessageID] // by when to look whether they still are
}

// send notes the first attempt for a message, for the devices of all that it concerns.
func (f *flight) send(id event.MessageID, m *message, parties [][]*device) {
	n := 0
	for _, devices := range parties {
		n += len(devices)
	}
	m.waits = make([]wait, 0, n)
	for _, devices := range parties {
		for _, d := range devices {
			m.waits = append(m.waits, wait{device: d, view: d.view, live: d.open > 0})
		}
	}
	f.messages[id] = m
	f.queue.push(m.sent+keep, id)
}

// store notes an ack. It returns how many devices have not seen the message, if they must.
func (f *flight) store(id event.MessageID) (missing int64) {
	m := f.messages[id]
	if m == nil || m.stored {
		return 0
	}
	m.stored = true
	if m.must {
		for _, w := range m.waits {
			if w.view == w.device.view {
				w.device.missing++
				missing++
			}
		}
	}
	f.settle(id, m)
	return missing
}

// see notes that a device has seen a message. It returns the message, nil if the device has not
// waited for it; whether it was connected when that was sent; and how many deliveries fewer
// are outstanding.
func (f *flight) see(id event.MessageID, d *device) (m *message, live bool, fewer int64) {
	m = f.messages[id]
	if m == nil {
		return nil, false, 0
	}
	for i, w := range m.waits {
		if w.device != d {
			continue
		}
		m.waits[i] = m.waits[len(m.waits)-1]
		m.waits = m.waits[:len(m.waits)-1]
		if w.view != d.view {
			return nil, false, 0
		}
		if m.stored && m.must {
			d.missing--
			fewer = 1
		}
		f.settle(id, m)
		return m, w.live, fewer
	}
	return nil, false, 0
}

// settle forgets a message that everybody has seen.
func (f *flight) settle(id event.MessageID, m *message) {
	if m.stored && len(m.waits) == 0 {
		delete(f.messages, id)
	}
}

// sweep forgets the messages that nobody will wait for any more.
func (f *flight) sweep(now time.Duration) {
	for id := range f.queue.due(now) {
		m := f.messages[id]
		if m == nil {
			continue
		}
		outstanding := false
		for _, w := range m.waits {
			outstanding = outstanding || w.view == w.device.view
		}
		if outstanding && m.stored && m.must {
			f.queue.push(now+keep, id)
			continue
		}
		delete(f.messages, id)
	}
}
