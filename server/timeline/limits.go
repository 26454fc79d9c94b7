package timeline

import "time"

// The bounds of what a Service holds and asks for. Those in bytes that an operator may
// want to change are in Config.
const (
	// DefaultScanBytes is the memory for all windows together.
	DefaultScanBytes = 256 << 20

	// DefaultTimeout is how long a read may take. A client that waits for a page gives
	// it up after a few seconds.
	DefaultTimeout = 5 * time.Second

	// scans is how many windows read the log at a time, looks for erasures included. A window may hold that part of
	// Config.ScanBytes, so those that read never need more than all of it; windows that
	// do not read give way. The log is read at its full speed by one.
	scans = 4

	// MinScanBytes leaves each window room for a few of the largest records, which
	// are somewhat larger than backplane.MaxBody.
	MinScanBytes = scans * (256 << 10)

	// rewindPart is the part of a window for records before the position for which it was
	// begun, which are read for the sake of duplicates and may serve others who come.
	rewindPart = 4

	// dedupeBytes is what backplane.Dedupe takes for an id. It may take half of a
	// window; then ids are forgotten before their time.
	dedupeBytes = 80

	// maxErasures is how many users' erasures are kept of a partition whose history is
	// behind, beside those that the tail remembers. Who needs more of them waits for history.
	maxErasures = 4096

	// scanStep is how many records a scan reads before it looks around: wakes those who
	// wait, and asks whether anybody wants it to go on.
	scanStep = 512

	// scanTurn is how long a scan goes on while other windows wait to begin theirs.
	scanTurn = 2 * time.Second

	// scanLinger is how long a scan stays open when nobody waits: readers put
	// their page on a connection and come back.
	scanLinger = time.Second

	// scanPause comes before a window reads the log again after that failed, or
	// gave nothing.
	scanPause = 100 * time.Millisecond

	// windowIdle is how long a window is kept after its last reader has left it. The
	// devices of a partition that moved come within seconds.
	windowIdle = 10 * time.Second

	// windowJump is how many records a window reads on to reach a reader. One that is
	// further ahead, with nobody in between, is worth a new start.
	windowJump = 100_000

	// recordBytes is what a record takes in a window at the least, and roomyRecord what
	// few take. They tell beforehand whether a range may fit, or will.
	recordBytes = 128
	roomyRecord = 1024

	// appliedAge is how old a store's applied positions may be when a read is based on
	// them, and appliedPause what is between two questions for them even if a read
	// finds that it needs newer ones.
	appliedAge   = time.Second
	appliedPause = 100 * time.Millisecond

	// appliedPart is the part of Config.Timeout that a read waits for them.
	appliedPart = 4

	// boundsAge is how old the bounds of a partition of the log may be. Its start moves
	// by retention only.
	boundsAge = time.Second
)
