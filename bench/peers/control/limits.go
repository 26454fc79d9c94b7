package control

// The limits of what a driver may ask for. A command beyond them is refused
// before any memory is taken for it.
const (
	// maxLine is the longest command, in bytes.
	maxLine = 64 << 10

	// maxPushSize is the largest payload of a frame that is pushed, in bytes.
	maxPushSize = 1 << 20

	// maxPushWrite is the largest write of a push, all its frames together, in
	// bytes of payload.
	maxPushWrite = 16 << 20

	// maxPushCount is the most frames that one push sends to a connection.
	maxPushCount = 1 << 30

	// maxKafkaSize is the largest value of a record, in bytes: what the topics of
	// godwit hold in one batch (1,000,012 bytes), rounded down.
	maxKafkaSize = 900_000

	// minKafkaSize is the smallest value of a record: the time at which it was due
	// is in it.
	minKafkaSize = 8

	// maxKafkaSeconds is the longest run.
	maxKafkaSeconds = 3600

	// MaxWindow is the most messages that may be on their way at once; with two
	// records each they stay below the 50,000 records of godwit's producer.
	MaxWindow = 20_000

	// maxEchoConns is the most connections that echoes use.
	maxEchoConns = 10_000
)
