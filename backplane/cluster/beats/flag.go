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
	if w.holder != "" {
		w.before = w.holder
		w.missing = w.now
	}
	w.holder = ""
	for name, n := range w.nodes {
		// The order of the map does not matter: of several, the one that beat last has it.
		if n.last.Controller && !w.Suspected(name) && (w.holder == "" || n.place > w.nodes[w.holder].place) {
			w.holder = name
		}
	}
}

// Controller returns the node whose beats carry the controller's flag, and "" if none
// do, or only those of suspected nodes.
func (w *Watch) Controller() string { return w.holder }

// Due reports whether a node has to take the controller's place now. It is to be asked
// after each beat.
//
// When the flag is missing, the nodes that are there wait in the order of their names, the
// k-th of them for k times Turn, so that one of them is first. The one that had the flag
// last comes last: it could not decide, and if it can by now, so can the others. So each
// node that is there gets its turn, and nobody waits for one that is there and does not
// decide. It does no harm if two try at once: the log fences all but the last, whose flag
// the others hear before it is their turn again.
func (w *Watch) Due(node string) bool {
	if w.holder != "" || !w.Heard(node) {
		return false
	}
	turn := int64(1)
	for name := range w.nodes {
		if name != node && name != w.before && (name < node || node == w.before) && w.Heard(name) {
			turn++
		}
	}
	return w.now-w.missing >= turn*Turn
}
