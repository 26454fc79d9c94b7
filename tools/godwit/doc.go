// Command godwit is the one binary of the project: the server and the tools
// that go with it.
//
// Every command is a file of its own, with a constructor that newRoot lists. A
// command's result goes to standard output and nothing else does, so that it
// can be piped; errors go to standard error as a sentence. The exit status is 0
// when all went well, 1 when the command failed or what it checks is not so,
// and 2 when it was called wrongly or, of godwit verify, when nobody can tell.
//
// The package is not for anything that another program might want to call: that
// belongs into the packages that the commands use. All of it runs on the main
// goroutine.
package main
