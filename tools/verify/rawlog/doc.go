// Package rawlog reads the log of a cluster under test out of Kafka, past the server: every
// record of the topic of messages becomes an event of the history of the run.
//
// It knows what a record is from outside. The value is a Message of codec/godwit.proto. The
// header "r" lists the users of the record's partition whom the message concerns, the sender
// among them if it lives there: each as its length, a varint of protobuf, and its bytes of
// UTF-8. The time is the record's timestamp.
//
// It is not for serving anybody: it reads whole partitions, from their beginnings to the
// ends that they have when it is called.
//
// Read may be called from any goroutine, and returns when all is over.
package rawlog
