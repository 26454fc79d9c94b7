package beats

// listen puts off that the flag is missing: whoever has it may have beaten just before
// the beats that are read now, or not yet after a hole.
func (w *Watch) listen() {
	if w.holder == "" {
		w.missing = w.now + MaxHole
	}
}

// flag looks for the controller's flag after each beat.
func (w *Watch) flag() {
	if n := w.nodes[w.holder]; n != nil && n.last.Controller && !w.Suspected(w.holder) {
		return
	}
	had := w.holder != ""
	w.holder = ""
	for name, n := range w.nodes {
		// The order of the map does not matter: of several, the one that beat last has it.
		if n.last.Controller && !w.Suspected(name) && (w.holder == "" || n.place > w.nodes[w.holder].place) {
			w.holder = name
		}
	}
	if had && w.holder == "" {
		w.missing = w.now
	}
}

// Controller returns the node whose beats carry the controller's flag, and "" if none
// do, or only those of suspected nodes.
func (w *Watch) Controller() string { return w.holder }

// Succession says when a node has to take the controller's place.
//
// When the flag is missing, the nodes that are there wait in the order of their names, the
// k-th of them for k times Turn, so that one of them is first. It does no harm if two
// try at once: the log fences all but the last. Who was fenced leaves the place to the
// one that did it, until that one is suspected; otherwise two nodes that both believe
// the other to be gone would take it from each other for ever.
type Succession struct {
	self string
	to   string // who fenced this node; "" for nobody
}

// NewSuccession returns the Succession of node self.
func NewSuccession(self string) *Succession { return &Succession{self: self} }

// Fenced tells that this node lost the place to another one.
func (s *Succession) Fenced(by string) { s.to = by }

// Due reports whether this node has to take the place now. It is to be asked after
// each beat that w took.
func (s *Succession) Due(w *Watch) bool {
	if s.to != "" && w.Suspected(s.to) {
		s.to = ""
	}
	if s.to != "" || w.holder != "" || !w.Heard(s.self) {
		return false
	}
	turn := int64(0)
	for name := range w.nodes {
		if name <= s.self && w.Heard(name) {
			turn++
		}
	}
	return w.now-w.missing >= turn*Turn
}
