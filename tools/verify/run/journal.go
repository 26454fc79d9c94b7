package run

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
)

// journal is the history file while it is written. Any goroutine may call write.
type journal struct {
	begun  time.Time
	file   *os.File
	writer *event.Writer

	mu  sync.Mutex
	err error // the first; nothing that comes later matters
}

// newJournal makes the file. The times of events count from now.
func newJournal(path string) (*journal, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	j := &journal{begun: time.Now(), file: file}
	j.writer = event.NewWriter(file, func() time.Duration { return time.Since(j.begun) })
	return j, nil
}

// write writes an event. An error is kept for close: a history that lacks an event is none.
func (j *journal) write(by string, e event.Event) {
	if err := j.writer.Write(by, e); err != nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		if j.err == nil {
			j.err = fmt.Errorf("run: the history lacks what %s saw: %w", by, err)
		}
	}
}

// close hands everything to the file and returns the first error of all.
func (j *journal) close() error {
	flushed, closed := j.writer.Flush(), j.file.Close()
	j.mu.Lock()
	defer j.mu.Unlock()
	return errors.Join(j.err, flushed, closed)
}
