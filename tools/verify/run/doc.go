// Package run conducts a verification run: it puts load on a cluster, does faults to it,
// reads from three sides what has become of every message, and has the history of all that
// judged and reported.
//
// The cluster is one of processes on this machine, which the run starts and ends, or one
// that is there already: to that nothing is done but load, under names that nobody else
// has.
//
// A run goes through the phases that docs/verify.md names. Whatever happens in them, it
// goes on to the next, because the checks say more of a run that went wrong than an error
// does: what the run could not do is told beside the outcome, which is not "passed" then.
//
// The package is not for judging anything itself, which is for tools/verify/check.
//
// Run may be called from any goroutine, for several runs at a time. When it has returned,
// none of its goroutines and processes is left.
package run
