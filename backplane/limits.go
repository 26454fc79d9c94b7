package backplane

// The limits of what may enter the log. They are part of the wire protocol
// (clients are told some of them in welcome) and of the stored format, so they
// are constants, not settings.
const (
	// MaxUserID is the longest user id, in bytes of UTF-8: room for an e-mail address
	// or two UUIDs, and short enough that the recipients of a send fit a record's
	// header.
	MaxUserID = 128

	// MaxClientID is the longest id that a client may give a send, in bytes.
	MaxClientID = 64

	// MaxDevice is the longest device name, in bytes of UTF-8.
	MaxDevice = 64

	// MaxRecipients is how many users one send may address. A send writes at
	// most MaxRecipients+1 records: one for each distinct partition among the
	// recipients and the sender.
	MaxRecipients = 64

	// MaxBody is the largest body of a message, in bytes. A node may be set to
	// allow less.
	MaxBody = 64 << 10

	// MaxPartitions bounds N, the number of partitions of a generation.
	MaxPartitions = 10_000

	// MaxTTL is the longest time to live of a message, in milliseconds: a year. What is
	// to stay longer needs none.
	MaxTTL = 365 * 24 * 3600 * 1000
)
