package event

// Deliver says that a device took a delivery.
type Deliver struct {
	Conn   uint64 `json:"conn"`
	Seq    uint64 `json:"seq,omitempty"` // 0 from a client that does not show it
	Cursor string `json:"cursor"`
	Time   int64  `json:"time"` // of the log, in Unix milliseconds
	Self   bool   `json:"self,omitempty"`
	Message
}

// Gap says that the server told a connection which deliveries it had dropped.
type Gap struct {
	Conn    uint64 `json:"conn"`
	FromSeq uint64 `json:"from_seq"`
	ToSeq   uint64 `json:"to_seq"`
	Reason  string `json:"reason"`
	After   string `json:"after"`
	Before  string `json:"before"`
}

// Gone is a gap of reason retention: what lay between the cursors is gone for good.
type Gone struct {
	Conn   uint64 `json:"conn"`
	Seq    uint64 `json:"seq,omitempty"` // its one number; 0 from a client that does not show it
	After  string `json:"after"`
	Before string `json:"before"`
}

// Heartbeat says that the server told a connection where it is.
type Heartbeat struct {
	Conn   uint64 `json:"conn"`
	Seq    uint64 `json:"seq"`
	Cursor string `json:"cursor"`
}

// Page says that a device got a page of history.
type Page struct {
	Conn  uint64 `json:"conn"`
	Query Query  `json:"query"`
	// Reading marks the pages of the reading at the end of the run: the user's whole
	// timeline, once, page by page from the newest to the oldest.
	Reading bool    `json:"reading,omitempty"`
	Code    string  `json:"code,omitempty"` // the refusal; then the rest is empty
	Entries []Entry `json:"entries,omitempty"`
	More    bool    `json:"more,omitempty"` // in the direction that was asked for
	Gone    string  `json:"gone,omitempty"`
}

// Query is what a page was asked for.
type Query struct {
	After  string `json:"after,omitempty"`
	Before string `json:"before,omitempty"`
	Around string `json:"around,omitempty"`
	Limit  int    `json:"limit,omitempty"`
	Peer   string `json:"peer,omitempty"`
}

// Entry is a message of a page.
type Entry struct {
	Cursor string `json:"cursor"`
	Time   int64  `json:"time"`
	Self   bool   `json:"self,omitempty"`
	Message
}

// Log says that the log has a record, as read from Kafka itself at the end of the run.
// The records of a partition stand in the order of their offsets.
type Log struct {
	Partition int32 `json:"partition"`
	Offset    int64 `json:"offset"`
	Time      int64 `json:"time"` // in Unix milliseconds
	// Users are those of the partition whom the record concerns, the sender among them.
	Users []string `json:"users"`
	Message
}

// LogEnd says that all of the log was read.
type LogEnd struct {
	Partitions int   `json:"partitions"`
	Records    int64 `json:"records"` // how many Log events there are
}
