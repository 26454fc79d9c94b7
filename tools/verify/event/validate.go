package event

import (
	"errors"
	"fmt"
)

var (
	errNoConn      = errors.New("conn is missing")
	errNoID        = errors.New("id is missing")
	errNoMessageID = errors.New("message_id is missing")
	errNoUser      = errors.New("user or device is missing")
)

func (e *Run) validate() error {
	if e.Format != Format {
		return fmt.Errorf("format %d: this version knows %d", e.Format, Format)
	}
	return nil
}

func (e *Phase) validate() error {
	switch e.Name {
	case Warmup, Faults, Heal, Reconnect, Drain, Read:
		return nil
	}
	return fmt.Errorf("there is no phase %q", e.Name)
}

func (e *Fault) validate() error {
	switch e.Phase {
	case Begin, Hit, End:
		return nil
	}
	return fmt.Errorf("a fault has no phase %q", e.Phase)
}

func (e *Connect) validate() error {
	switch {
	case e.Conn == 0:
		return errNoConn
	case e.User == "" || e.Device == "":
		return errNoUser
	case e.Back < 0 || e.Back > 0 && e.Cursor == "":
		return errors.New("back goes with a cursor, and is not negative")
	}
	return nil
}

func (e *Refused) validate() error {
	if e.User == "" || e.Device == "" {
		return errNoUser
	}
	return nil
}

func (e *Close) validate() error     { return conn(e.Conn) }
func (e *Moved) validate() error     { return conn(e.Conn) }
func (e *Violation) validate() error { return nil }

func (e *Send) validate() error {
	switch {
	case e.Attempt < 1:
		return errors.New("attempts count from 1")
	case e.BodySum == "":
		return errors.New("body_sum is missing")
	case len(e.To) == 0:
		return errors.New("to is missing")
	case e.MessageID == MessageID{}:
		return errNoMessageID
	}
	return errors.Join(sent(e.Conn, e.ID), kind(e.Kind))
}

func (e *Ack) validate() error {
	if e.MessageID == (MessageID{}) {
		return errNoMessageID
	}
	return sent(e.Conn, e.ID)
}

func (e *Nack) validate() error    { return sent(e.Conn, e.ID) }
func (e *Unknown) validate() error { return sent(e.Conn, e.ID) }

func (e *Deliver) validate() error {
	if e.Conn == 0 {
		return errNoConn
	}
	return e.Message.validate()
}

func (e *Gap) validate() error       { return conn(e.Conn) }
func (e *Gone) validate() error      { return conn(e.Conn) }
func (e *Heartbeat) validate() error { return conn(e.Conn) }

func (e *Page) validate() error {
	if e.Conn == 0 {
		return errNoConn
	}
	for i := range e.Entries {
		if err := e.Entries[i].validate(); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
	}
	return nil
}

func (e *Log) validate() error {
	if e.Partition < 0 || e.Offset < 0 {
		return errors.New("partitions and offsets are not negative")
	}
	return e.Message.validate()
}

func (e *LogEnd) validate() error  { return nil }
func (e *Counter) validate() error { return nil }

// validate leaves alone what only the checks can judge, such as who the message is from.
func (m *Message) validate() error {
	if m.MessageID == (MessageID{}) {
		return errNoMessageID
	}
	return kind(m.Kind)
}

func conn(n uint64) error {
	if n == 0 {
		return errNoConn
	}
	return nil
}

func sent(n uint64, id string) error {
	switch {
	case n == 0:
		return errNoConn
	case id == "":
		return errNoID
	}
	return nil
}

func kind(k Kind) error {
	switch k {
	case Ordinary, Signal:
		return nil
	}
	return fmt.Errorf("there is no kind %q", k)
}
