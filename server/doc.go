// Package server makes a node of its parts: it reads the settings, wires the log,
// the dispatchers, the reactor and the admin port together, and stops them in
// order.
//
// It is not for logic of its own: what a part does is in the part's package.
// Node's methods may be called from any goroutine.
package server
