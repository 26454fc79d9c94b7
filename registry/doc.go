// Package registry knows which connections a user has on this node.
//
// It maps a user id to the handles of the user's connections. A handle names a
// connection by loop, slot and generation; it is a number, not a pointer, so
// that code on other goroutines can hold one for a connection that has long
// gone, and the loop that owns the slot notices.
//
// The map is striped by the user's hash: each stripe has its own lock, which is
// held for one map operation and never while anything else is called.
//
// All methods may be called from any goroutine.
package registry
