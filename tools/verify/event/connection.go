package event

// Connect says that a device was welcomed on a new connection.
//
// A device may have two connections for a while, when it moves. It then takes
// deliveries from one of them only, and only those are written.
type Connect struct {
	Conn     uint64 `json:"conn"` // the connection's number, unlike any other in the file
	User     string `json:"user"`
	Device   string `json:"device"`             // as given to the server; the same at each connect
	Client   string `json:"client"`             // which client this is
	Encoding string `json:"encoding"`           // json or proto
	Overflow string `json:"overflow,omitempty"` // as asked for
	URL      string `json:"url"`

	// Cursor is the one that the device gave. Without one its view of the timeline
	// begins anew here, as Start says.
	Cursor string `json:"cursor,omitempty"`
	Start  string `json:"start,omitempty"`
	// Back is how many of the device's latest deliveries lie after Cursor: those come
	// again. It is 0 for a device that goes on where it was.
	Back int `json:"back,omitempty"`

	// What the welcome said.
	Session    string `json:"session,omitempty"`
	Node       string `json:"node,omitempty"`
	MapVersion uint64 `json:"map_version,omitempty"`
	Welcome    string `json:"welcome,omitempty"` // its cursor
	Resumed    bool   `json:"resumed,omitempty"`
}

// Refused says that a device tried to connect and was not welcomed.
type Refused struct {
	User   string `json:"user"`
	Device string `json:"device"`
	URL    string `json:"url"`
	Status int    `json:"status,omitempty"` // of HTTP; 0 if it was something else
	Why    string `json:"why"`              // the server's code, or an error
}

// Close says that a connection has ended.
type Close struct {
	Conn   uint64 `json:"conn"`
	Code   int    `json:"code,omitempty"` // of WebSocket; 0 if none came
	Reason string `json:"reason,omitempty"`
}

// Moved says that the server asked a connection to leave for another node.
type Moved struct {
	Conn       uint64 `json:"conn"`
	URL        string `json:"url"`
	Node       string `json:"node,omitempty"`
	MapVersion uint64 `json:"map_version"`
	RetryAfter int64  `json:"retry_after_ms,omitempty"`
}

// Violation says that the server did what the protocol does not allow, as the client
// saw by itself.
type Violation struct {
	Conn uint64 `json:"conn,omitempty"`
	What string `json:"what"`
}
