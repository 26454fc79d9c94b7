package wire

import (
	"net"
	"sync"
	"time"
)

// Paces of a reader, in bytes a second; any positive number between is one as well.
const (
	FullPace = -1 // as fast as Next is called
	NoPace   = 0  // not at all
)

// paceStep is how often a slow reader reads.
const paceStep = 50 * time.Millisecond

// pacedReader reads from a connection no faster than it was told. One goroutine calls
// Read; any goroutine may call the rest.
type pacedReader struct {
	conn net.Conn

	mu struct {
		sync.Mutex
		pace    int
		changed chan struct{} // closed when pace changes
		final   bool          // pace stays as it is
	}
}

func newPacedReader(conn net.Conn) *pacedReader {
	p := &pacedReader{conn: conn}
	p.mu.pace = FullPace
	p.mu.changed = make(chan struct{})
	return p
}

// set changes the pace, also of a Read that waits. After a final one it changes nothing.
func (p *pacedReader) set(pace int, final bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.final {
		return
	}
	p.mu.pace, p.mu.final = pace, final
	close(p.mu.changed)
	p.mu.changed = make(chan struct{})
}

func (p *pacedReader) get() (pace int, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.pace, p.mu.changed
}

// Read waits before it reads, so that a pace that was set while nothing came counts
// for what comes next.
func (p *pacedReader) Read(b []byte) (int, error) {
	for {
		pace, changed := p.get()
		switch {
		case pace < 0:
			return p.conn.Read(b)
		case pace == 0:
			<-changed
		default:
			step := max(1, min(len(b), pace*int(paceStep/time.Millisecond)/1000))
			timer := time.NewTimer(time.Duration(step) * time.Second / time.Duration(pace))
			select {
			case <-changed:
				timer.Stop()
			case <-timer.C:
				return p.conn.Read(b[:step])
			}
		}
	}
}
