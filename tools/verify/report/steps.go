package report

import "time"

// step is a Step in the making.
type step struct {
	Step
	ack, deliver latencies
}

// steps are those of a run so far. They get longer with it, so that there are never more
// than maxSteps.
type steps struct {
	length time.Duration
	list   []step
	// What the next step begins with.
	connected, unseen int64
}

// at returns the step of a time.
func (s *steps) at(t time.Duration) *step {
	for t/s.length >= maxSteps {
		s.fold()
	}
	i := int(t / s.length)
	for len(s.list) <= i {
		s.list = append(s.list, step{Step: Step{Connected: s.connected, Unseen: s.unseen}})
	}
	return &s.list[i]
}

// fold makes the steps twice as long.
func (s *steps) fold() {
	s.length *= 2
	for i := range s.list {
		if i%2 == 0 {
			s.list[i/2] = s.list[i]
			continue
		}
		s.list[i/2].merge(&s.list[i])
	}
	half := (len(s.list) + 1) / 2
	clear(s.list[half:])
	s.list = s.list[:half]
}

// merge takes what the next step has.
func (s *step) merge(next *step) {
	s.Answers.add(next.Answers)
	s.Attempts.Sends += next.Attempts.Sends
	s.Attempts.add(next.Attempts.Answers)
	s.Refused += next.Refused
	s.ack.merge(&next.ack)
	s.deliver.merge(&next.deliver)
	s.Connected = min(s.Connected, next.Connected)
	s.Unseen = max(s.Unseen, next.Unseen)
}

func (a *Answers) add(b Answers) {
	a.Stored += b.Stored
	a.Rejected += b.Rejected
	a.Invalid += b.Invalid
	a.Unknown += b.Unknown
}

// connect notes that so many more devices are connected.
func (s *steps) connect(t time.Duration, more int64) {
	now := s.at(t)
	s.connected += more
	now.Connected = min(now.Connected, s.connected)
}

// miss notes that so many more deliveries are outstanding.
func (s *steps) miss(t time.Duration, more int64) {
	now := s.at(t)
	s.unseen += more
	now.Unseen = max(now.Unseen, s.unseen)
}

// all returns the steps from 0 to the one that holds end.
func (s *steps) all(end time.Duration) []Step {
	s.at(end)
	list := make([]Step, len(s.list))
	for i := range s.list {
		list[i] = s.list[i].Step
		list[i].Begin = time.Duration(i) * s.length
		list[i].Ack, list[i].Deliver = s.list[i].ack.summary(), s.list[i].deliver.summary()
	}
	return list
}
