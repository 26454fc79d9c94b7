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
	// Begin is called before the first Record of a partition that was added, and after
	// the End of an earlier time. Reading starts at offset, the first that can be handed
	// out, which is that of the first record with a log time of at least since (Unix
	// milliseconds), or the end of the log where there is none.
	//
	// It is called again, without an End before it, when the log does not have the next
	// record any more (it was deleted before it was read, or the log was cut off). Then
	// since is the log time of the last record that was handed out, if there was one: of
	// what the log still has from that time on, offset is the first that was not handed
	// out.
	Begin(p Partition, offset, since int64)
	// Record is called for each record, in offset order within a partition. It may
	// block: then this worker's partitions are paused, and nothing else is.
	Record(r *Record)
	// End is called when a partition for which Begin was called is not read any more, so
	// that what is known of it can go. It may come some time after Remove has returned.
	// When the Consumer itself is closed, there is no End.
	End(p Partition)
	// Tick is called about once a second, between records.
	Tick()
}

// Consumer reads assigned partitions.
type Consumer interface {
	// Add starts reading partitions at the first record whose log time is at least
	// since (Unix milliseconds), or at the end where there is none. It returns when
	// reading has begun; what the log cannot tell the start of yet begins when it can, and
	// is not reached before.
	Add(partitions []Partition, since int64) error
	// Remove stops reading partitions. No Record call for them starts after it
	// has returned.
	Remove(partitions []Partition)
	// Reached reports whether a partition is assigned and has been handed out up to the
	// end that it had when it was added.
	Reached(p Partition) bool
	// Ready reports whether every assigned partition has been handed out up to
	// the end that it had when it was added.
	Ready() bool
}
