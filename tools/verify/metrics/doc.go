// Package metrics reads what the admin port of a node tells Prometheus, as far as a run needs
// it: the node's own metrics, and only their values.
//
// Any goroutine may call its functions. Values belong to whoever has them.
package metrics
