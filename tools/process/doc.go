// Package process runs programs that end with the one that starts them: nodes, and the
// services beside them.
//
// A Process has a group of its own, so that Ctrl-C at the terminal does not reach it, and
// whatever it starts can be ended with it. It can be killed, and paused so that it is known
// to be silent. If the program that has started it ends, however it does, the kernel sends
// it a signal.
//
// The package knows nothing of what the programs say and does not start them again. For
// tests there is tools/processtest.
//
// Any goroutine may call everything here.
package process
