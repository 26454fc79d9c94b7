// Package admin serves the admin port of a node over net/http: what operators
// look at, and what backends send through.
//
//	GET    /healthz        the process answers
//	GET    /readyz         200 when the node serves users, with a warning if it has one; else 503 and why not
//	GET    /metrics        for Prometheus
//	GET    /debug/pprof/   profiles
//	POST   /v1/messages    a backend sends a message as any user
//	GET    /v1/history     a part of any user's timeline
//	DELETE /v1/history     a user's timeline is erased
//	GET    /v1/cluster     nodes, partitions and settings of the cluster, if the node is in one
//	GET    /v1/cluster/watch      a stream of what changes in it
//	POST   /v1/cluster/requests   a request to its controller
//	GET    /v1/route       which node serves a user or a partition
//	GET    /v1/map         which node serves which partitions
//	GET    /dev/token      a token for the demo page, with a development key only
//	GET    /               the demo page, if there is one
//
// The port is for people and programs that are trusted. Without a token it
// listens on loopback addresses only, and then it refuses what web pages of
// other sites could make a browser ask of it: see guard.go. With a token,
// everything but /healthz, /readyz and /metrics asks for it. Whoever may post
// messages may post them as any user, and may read and erase everybody's.
//
// A process that is no node, such as the one that writes history, has the port with the
// first four alone.
//
// It is not for users: they connect to the public port, which package reactor
// serves. A goroutine for each connection is fine here and would not be there.
//
// New starts to listen, and one goroutine accepts from then on. Any goroutine may
// call the methods of a Server. Config's functions are called from the goroutines
// of requests, several at a time.
package admin
