// Package kafka keeps messages in Kafka: it implements the contracts of
// package backplane with franz-go, and nothing else in godwit uses that client
// for messages.
//
// It is not for the control plane: backplane/cluster/kafkalog is the second user of
// franz-go. It has clients of its own, which begin with the ClientOptions of this
// package's Config, and makes and checks its topics by CreateTopic and DescribeTopic.
// Nor does this package know anything of sessions, tails or history: it turns sends
// into records and records into calls of a Handler.
//
// # A client for each
//
// Producer and Consumer have a Kafka client each, not a common one. They are
// closed at different times (sends are flushed while the consumer still
// delivers), the producer watches its connections (see wire.go), and a fetch
// that is large or slow must not stand before a produce request. A Reader has
// one of its own as well, so that who catches up does not delay who is up to date. A Group
// has two: a Consumer, and a member of Kafka's consumer group that only learns what
// the Consumer is to read.
//
// # What a send goes through
//
// Produce groups the users of a send by partition, admits all of its records at
// once or none, enters the send in the table of flights under its message id,
// copies the value once, and hands a record for each partition to the client.
// The client calls a promise for each record; the last one decides the outcome,
// takes the flight out of the table and answers everyone who waits: the first
// caller and those whose retries joined. Whoever has waited AckTimeout is
// answered Unknown by the timer goroutine; the flight stays in the table until
// its promises have fired, so that retries go on joining it and what is
// buffered stays bounded.
//
// # What a record goes through
//
// One goroutine polls. It finds the record's worker by its partition, puts it on
// that worker's queue, and never waits. A worker whose queue is above its mark
// has its partitions paused, and resumed when half of it is done: what the client
// had buffered for them is dropped and fetched again, from the position of the
// last poll, so nothing is skipped or doubled. Assignments change only on the
// poll goroutine, between polls, so a poll's records always belong to the
// assignment that is in force.
//
// Begin and End go through the same queue, so they stand where they belong among the
// records.
//
// A partition whose leader does not tell where it begins, or that the client gives up, is
// the repair goroutine's until it can be fetched, and counts as failed. The others go on.
//
// # What the clients log
//
// Clients tell of each request that fails. What they tell is put together (see log.go): a
// line when trouble begins, one now and then, and one when it is over, for all clients that
// were made from copies of one Config.
//
// # Goroutines
//
// Any goroutine may call Producer.Produce, Consumer.Add, Consumer.AddEach,
// Consumer.Ready, both Err methods, the methods of Reader and the Collectors.
// Consumer.Remove and all Close methods wait, so they must not be called from a
// Handler or a Waiter; the methods of Reader wait for brokers. Waiters are called
// one at a time; a Handler is called by its worker's goroutine only. A panic in
// either is not recovered: it ends the process.
package kafka
