// Package structure tests the shape of the project: which package may import
// which, that protocol code has no sockets, goroutines or clocks, that every
// package explains itself, and that no file grows out of hand.
//
// It has tests only. They read the source with go list and go/parser; they build
// and run nothing of it. A new package begins with a row in the table of
// ranks_test.go.
package structure
