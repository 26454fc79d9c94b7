// Package historytest is the conformance suite of history.Store: what a store must do,
// as tests that every store passes.
//
// A store that is given to Run keeps entries for at least 30 days after their log time,
// since the suite writes entries of the last 20 days. Run may be called by a test only;
// it opens a few stores and tells its tests apart by generations.
package historytest
