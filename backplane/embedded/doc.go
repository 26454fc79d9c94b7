// Package embedded runs a Kafka broker inside the process, so that one node of
// godwit needs nothing else: kfake, from franz-go, with a data folder.
//
// It is for one node: a development machine, a small installation, tests. It is
// not a cluster, has no replicas, and serves every request on one goroutine;
// whoever needs to survive the loss of a machine runs Apache Kafka.
//
// What it survives: the process may be killed at any moment, and what was
// acknowledged is there when it starts again on the same folder. A power cut or a
// crash of the machine loses what the operating system had not written to disk
// yet, unless SyncWrites is set; then every produce request waits for the disk.
// Without a folder it keeps everything in memory, for tests.
//
// What differs from Apache Kafka: log times are the producer's, because kfake
// accepts LogAppendTime and ignores it. With one node that is one clock.
//
// Start may be called by any goroutine, and so may the methods of Broker. A
// folder is used by one Broker at a time: a second one, in this process or
// another, is refused.
package embedded
