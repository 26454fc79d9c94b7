// Command mutations shows that godwit verify can fail: it plants bugs in godwit, one at a
// time, verifies each of the clusters that this makes, and prints which check has found the bug
// and how long the run took. Its exit status is 1 if one was not found.
//
// Before, it verifies the same without the bugs, which must pass.
//
// It is run from a checkout of godwit, by "make verify-mutations", and needs what the tests
// need. It is not for finding bugs that nobody has planted: that is what godwit verify is
// for. The package tools/verify/mutation does the work.
package main
