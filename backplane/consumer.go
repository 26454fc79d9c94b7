package backplane

// Record is a record of the messages topic as the consumer hands it out. Its
// slices alias a fetch buffer and are valid only during the call that gives it.
type Record struct {
	Position
	// Time is the record's log time in Unix milliseconds.
	Time int64
	// Value is the encoded Message.
	Value []byte
	// Recipients lists the users of this partition that the message concerns, the
	// sender among them if it lives here; see NextRecipient.
	Recipients []byte
	// Session is the id of the sending session, 0 for none.
	Session uint64
}

// Handler takes the records of the partitions of one dispatch worker. There is
// one Handler for each worker; a partition stays with its worker, and all calls
// for a worker are made from its goroutine.
type Handler interface {
	// Record is called for each record, in offset order within a partition. It may
	// block: then this worker's partitions are paused, and nothing else is.
	Record(r *Record)
	// Tick is called about once a second, between records.
	Tick()
}

// Consumer reads assigned partitions.
type Consumer interface {
	// Add starts reading partitions at the first record whose log time is at least
	// since (Unix milliseconds), or at the end where there is none. It returns
	// when the start offsets are known.
	Add(partitions []Partition, since int64) error
	// Remove stops reading partitions. No Record call for them starts after it
	// has returned.
	Remove(partitions []Partition)
	// Ready reports whether every assigned partition has been handed out up to
	// the end that it had when it was added.
	Ready() bool
}
