// Package mutation plants bugs in godwit, one at a time, and looks whether godwit verify
// finds them. A check that never fails shows nothing; this shows of most of them that they do.
//
// A mutation is a text in the folder bugs: what the bug is, which of the checks may find it,
// with which flags godwit verify is to run, and the places in the source where another text
// is put. It is planted while the compiler reads the source (go build -overlay), so
// neither the source nor what is built of it otherwise knows of any bug, and no setting leads
// to one. A place that cannot be found, because the code has changed, is an error, and a test
// looks for all of them.
//
// Beside what is planted a mutation may tune: change a limit or a time that is right as it is,
// so that the bug shows within a minute. What is only tuned must pass.
//
// The package is for tests of the checks, with Kafka on this machine. It is not for finding
// bugs that nobody has planted.
//
// Mutations are plain values. A Runner starts processes and is called by one goroutine at a
// time: each run has the machine for itself.
package mutation
