package control

import (
	"context"
	"errors"
	"fmt"
)

// Ready is the first line of a process: it takes connections from now on.
type Ready struct {
	// Addr is where it listens, host:port; empty for one that takes no connections.
	Addr string `json:"addr"`
	// PID is the process that serves.
	PID int `json:"pid"`
	// Path is the path of the upgrade, if it matters.
	Path string `json:"path,omitempty"`
	// Hello is the text frame that a client must send first; empty for none. Its
	// answer, one text frame, comes before anything else.
	Hello string `json:"hello,omitempty"`
}

// Peer is a server under test.
type Peer interface {
	Ready() Ready
	// Conns returns how many connections are open that a push would reach.
	Conns() int
	// Close ends the server and its connections.
	Close() error
}

// Pusher is a Peer that sends to all of its connections.
type Pusher interface {
	// Push does what a Push says, and returns how many frames it wrote, over all
	// connections. It returns when the kernel has them, as far as the server can
	// know. ctx ends when the driver is gone.
	Push(ctx context.Context, p Push) (frames int64, err error)
}

// Push asks for Count frames to every connection.
type Push struct {
	// Size is the size of each frame's payload, in bytes.
	Size int `json:"size"`
	// Count is how many frames each connection gets.
	Count int `json:"count"`
	// Batch is how many frames share one write; 1 if it is 0. The last write of a
	// connection may have fewer.
	Batch int `json:"batch"`
}

// Writes returns how many writes each connection gets.
func (p Push) Writes() int { return (p.Count + p.Batch - 1) / p.Batch }

// Frames returns how many frames there are in a connection's write, counted
// from 0.
func (p Push) Frames(write int) int { return min(p.Batch, p.Count-write*p.Batch) }

func (p Push) validate() error {
	switch {
	case p.Size < 1 || p.Size > maxPushSize:
		return fmt.Errorf("size is %d: it must be 1 to %d", p.Size, maxPushSize)
	case p.Count < 1 || p.Count > maxPushCount:
		return fmt.Errorf("count is %d: it must be 1 to %d", p.Count, maxPushCount)
	case p.Batch < 1 || p.Batch > maxPushWrite/p.Size:
		return fmt.Errorf("batch is %d: it must be 1 to %d for frames of %d bytes", p.Batch, maxPushWrite/p.Size, p.Size)
	}
	return nil
}

// PushResult is what a push took.
type PushResult struct {
	// Writes is how many times a connection was given something to write. A server
	// that joins or splits what it is given makes fewer or more system calls.
	Writes int64 `json:"writes"`
	// Frames is how many frames were written.
	Frames int64 `json:"frames"`
	// CPU is the user and system time of the process meanwhile, in microseconds.
	CPU int64 `json:"cpu_us"`
	// Wall is the time that passed, in microseconds.
	Wall int64 `json:"wall_us"`
}

// KafkaRunner is a Peer that produces and consumes records.
type KafkaRunner interface {
	// Run does what a Kafka says. ctx ends when the driver is gone.
	Run(ctx context.Context, k Kafka) (KafkaResult, error)
}

// Kafka asks for messages to be produced to a topic and consumed from it.
type Kafka struct {
	Brokers []string `json:"brokers"` // host:port
	Topic   string   `json:"topic"`   // made if it is not there
	// Partitions is how many partitions the topic has.
	Partitions int32 `json:"partitions"`
	// Rate is how many messages a second are produced; 0 for as many as go, with
	// Window of them on their way at any time.
	Rate int `json:"rate"`
	// Window is 8,192 if it is 0. It does not apply to a Rate.
	Window int `json:"window"`
	// Size is the size of a record's value, in bytes.
	Size int `json:"size"`
	// Seconds is how long messages are produced. A tenth of it, and at least half a
	// second, goes before and is not measured.
	Seconds float64 `json:"seconds"`
	// RecordsPerMessage is 1, or 2 for a message whose sender and recipient live in
	// different partitions; 1 if it is 0.
	RecordsPerMessage int `json:"records_per_message"`
	// Echo adds an echo on a bare event loop for each message, at the same rate,
	// after the messages; EchoConns is how many connections it uses, 64 if it is 0.
	Echo      bool `json:"echo"`
	EchoConns int  `json:"echo_conns"`
}

func (k Kafka) validate() error {
	switch {
	case len(k.Brokers) == 0:
		return errors.New("brokers is empty")
	case k.Topic == "":
		return errors.New("topic is empty")
	case k.RecordsPerMessage < 1 || k.RecordsPerMessage > 2:
		return fmt.Errorf("records_per_message is %d: it must be 1 or 2", k.RecordsPerMessage)
	case int(k.Partitions) < k.RecordsPerMessage:
		return fmt.Errorf("partitions is %d: it must be at least records_per_message, %d", k.Partitions, k.RecordsPerMessage)
	case k.Rate < 0 || k.Rate > 1_000_000:
		return fmt.Errorf("rate is %d: it must be 0 to 1000000", k.Rate)
	case k.Window < 1 || k.Window > MaxWindow:
		return fmt.Errorf("window is %d: it must be 1 to %d", k.Window, MaxWindow)
	case k.Size < minKafkaSize || k.Size > maxKafkaSize:
		return fmt.Errorf("size is %d: it must be %d to %d", k.Size, minKafkaSize, maxKafkaSize)
	case !(k.Seconds > 0 && k.Seconds <= maxKafkaSeconds):
		return fmt.Errorf("seconds is %v: it must be above 0 and at most %d", k.Seconds, maxKafkaSeconds)
	case k.EchoConns < 1 || k.EchoConns > maxEchoConns:
		return fmt.Errorf("echo_conns is %d: it must be 1 to %d", k.EchoConns, maxEchoConns)
	}
	return nil
}

// KafkaResult is what a run took. All times are in microseconds. A message's
// latency begins when it was due, not when the producer came to it, and ends
// when the last of its records is acknowledged (ack) or when the record for its
// recipient comes out of the consumer.
type KafkaResult struct {
	Messages   int64   `json:"msgs"`
	Records    int64   `json:"records"`
	PerSecond  float64 `json:"msgs_s"`
	CPU        float64 `json:"cpu_us_per_msg"`       // of a message, and of an echo if there are any
	CPUOfKafka float64 `json:"kafka_cpu_us_per_msg"` // of a message alone
	CPUOfEcho  float64 `json:"echo_cpu_us_per_msg"`  // of an echo; 0 without
	P50        int64   `json:"p50_us"`
	P99        int64   `json:"p99_us"`
	AckP50     int64   `json:"ack_p50_us"`
	AckP99     int64   `json:"ack_p99_us"`
}
