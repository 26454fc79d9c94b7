package backplane

import "time"

// DuplicateWindow is W: a record is a duplicate when a record with its message id
// stands before it in the partition with a log time at most W earlier. Every
// reader (a node, history, a replay) uses the same rule, so all of them agree on
// which record is the message. SDKs resend for less than W.
const DuplicateWindow = 60 * time.Second

// Rewind is how far before now a reader begins, so that it knows the message ids
// of the window before any record that it serves.
const Rewind = 2 * DuplicateWindow
