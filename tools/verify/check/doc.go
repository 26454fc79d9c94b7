// Package check judges the history of a verification run: it reads the events once and
// says of each promise whether it was kept, with the lines that show it.
//
// It knows the protocol's text and the file's format only, and shares no code with the
// server. Cursors are opaque to it, as they are to any client. It is not for running
// anything: it has no IO, starts no goroutine and reads no clock.
//
// A history is read into an index: 16 bytes and a few numbers a message, and some bytes for each
// delivery, entry of a page and record of the log, so that a run of hours fits into
// memory. Some checks look at each event as it comes. The others are made at the end, user
// by user, over what the index has of that user.
//
// Run may be called from any goroutine; what it returns is a plain value.
package check
