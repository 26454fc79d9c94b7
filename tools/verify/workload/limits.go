package workload

import "time"

// The sizes of a load.
const (
	// maxUsers bounds what one process can be: a device is a few goroutines.
	maxUsers = 10_000

	// maxRecipients is of a message that is meant to be stored. With maxDevices it makes that
	// all devices that a message concerns fit into the 64 bits that the ledger has for them.
	maxRecipients = 8
	maxDevices    = 64 / (maxRecipients + 1)

	// maxPrefix leaves room for a number within the 128 bytes of a user id.
	maxPrefix = 100
)

const (
	// poll is how often those who wait look whether it is time.
	poll = 20 * time.Millisecond

	// quiet is how long nothing must have come for the load to be settled.
	quiet = time.Second
)
