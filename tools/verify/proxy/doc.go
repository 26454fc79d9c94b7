// Package proxy carries TCP connections from one end to the other, and can do to them what
// networks do: end them, hold what they carry, slow it down. It counts what it has done, so
// that a fault can be shown to have hit.
//
// A Proxy stands between a client and one server. It reads nothing of what it carries and
// rewrites nothing. It is for tests of whole systems on one machine, not for production:
// every connection costs two goroutines and their buffers.
//
// Any goroutine may call the methods of a Proxy.
package proxy
