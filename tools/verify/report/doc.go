// Package report tells people what a verification run was and what it showed: while it
// runs by a Progress, and afterwards by a Report, as a page of HTML, as JSON and as the
// last lines on a terminal.
//
// What was measured comes from the history file, in one pass: Collect makes a Story of it,
// which is small however long the run was. What is right and wrong comes from
// tools/verify/check. The package judges nothing by itself, and starts nothing.
//
// A Progress may be used by any goroutine. All else is plain values: whoever has one may
// read it, and nobody may change it meanwhile.
package report
