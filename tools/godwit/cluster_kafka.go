package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	scripts "github.com/godwit-im/godwit/tools/kafka"
	"github.com/godwit-im/godwit/tools/process"
)

const (
	// kafkaTimeout bounds the start of a Kafka, which may have to be fetched first.
	kafkaTimeout = 10 * time.Minute

	// kafkaPort is the port of the Kafka that is started here, if KAFKA_PORT names no
	// other. The next one is for its controller.
	kafkaPort = "9092"
)

// errNoKafka tells what to do where no Kafka can be started.
var errNoKafka = errors.New("no Kafka is named, and " + scripts.Script + " is not there to start one: name yours with --kafka host:port, or run this in a checkout of godwit")

// findKafkaScript returns the path of the script, which is below the working folder or
// beside the folder of this binary.
func findKafkaScript() (string, error) {
	candidates := []string{scripts.Script}
	if exe, err := os.Executable(); err == nil {
		candidates = append(candidates, filepath.Join(filepath.Dir(exe), "..", scripts.Script))
	}
	for _, path := range candidates {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return filepath.Abs(path)
		}
	}
	return "", errNoKafka
}

// startKafka runs a Kafka with its data in the folder data, and returns when it serves at
// the address. What it says goes to a file there.
func startKafka(ctx context.Context, stderr io.Writer, data string) (c *process.Process, address string, err error) {
	script, err := findKafkaScript()
	if err != nil {
		return nil, "", err
	}
	port := os.Getenv("KAFKA_PORT")
	if port == "" {
		port = kafkaPort
	}
	address = net.JoinHostPort("127.0.0.1", port)
	if err := checkFree(address); err != nil {
		return nil, "", fmt.Errorf("%w: if a Kafka runs there, use it with --kafka %s", err, address)
	}
	if data, err = filepath.Abs(data); err != nil {
		return nil, "", err
	}
	if err := os.MkdirAll(data, 0o755); err != nil {
		return nil, "", err
	}
	file, err := os.Create(filepath.Join(data, "kafka.log"))
	if err != nil {
		return nil, "", err
	}
	fmt.Fprintf(stderr, "starting Kafka at %s (its log is %s)\n", address, file.Name())
	watch := &awaitText{w: file, text: []byte(scripts.Started), found: make(chan struct{})}
	c, err = startChild("kafka", watch, []string{"KAFKA_PORT=" + port, "KAFKA_DATA=" + data}, script, scripts.Run)
	if err != nil {
		return nil, "", errors.Join(err, file.Close())
	}
	ctx, cancel := context.WithTimeout(ctx, kafkaTimeout)
	defer cancel()
	select {
	case <-watch.found:
		return c, address, nil
	case <-c.Done():
		err = fmt.Errorf("the Kafka did not start (%s); its log is %s", c.How(), file.Name())
	case <-ctx.Done():
		err = fmt.Errorf("the Kafka has not started: %w; its log is %s", ctx.Err(), file.Name())
	}
	return nil, "", errors.Join(err, stopChildren(nil, c))
}

// checkFree reports whether a listener can have an address.
func checkFree(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("%s cannot be listened on: %w", address, errors.Unwrap(err))
	}
	return l.Close()
}

// awaitText writes on what it gets, and tells when a text was in it.
type awaitText struct {
	w     io.Writer
	text  []byte
	last  []byte // what came, no more of it than the text's length
	once  sync.Once
	found chan struct{}
}

func (a *awaitText) Write(p []byte) (int, error) {
	a.last = append(a.last, p...)
	if bytes.Contains(a.last, a.text) {
		a.once.Do(func() { close(a.found) })
	}
	a.last = append(a.last[:0], a.last[max(0, len(a.last)-len(a.text)):]...)
	return a.w.Write(p)
}
