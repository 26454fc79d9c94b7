// Package report makes the table of a benchmark run: every metric of every
// benchmark with its median and spread over all runs, beside the goal that the
// project has set for it.
//
// It measures nothing and judges only numbers: a goal that is not met is marked in
// the table, and never fails a run, because a busy machine is not a defect. What is
// a defect (a message lost or doubled) fails in the benchmark itself.
//
// A Recorder may be used by any goroutine.
package report
