package kafka

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/iotest"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// script is a connection whose answers are given.
type script struct {
	net.Conn
	answers io.Reader
}

func (s *script) Write(b []byte) (int, error) { return len(b), nil }
func (s *script) Read(b []byte) (int, error)  { return s.answers.Read(b) }
func (s *script) Close() error                { return nil }

// request returns a produce request for partitions as the client writes it.
func request(version int16, correlation int32, partitions ...int32) []byte {
	req := kmsg.NewPtrProduceRequest()
	req.Version = version
	req.Acks = -1
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic = "t"
	for _, p := range partitions {
		part := kmsg.NewProduceRequestTopicPartition()
		part.Partition = p
		part.Records = []byte("records")
		topic.Partitions = append(topic.Partitions, part)
	}
	req.Topics = append(req.Topics, topic)
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("a client")).AppendRequest(nil, req, correlation)
}

// response returns a broker's answer.
func response(version int16, correlation int32, answers ...answer) []byte {
	resp := kmsg.NewPtrProduceResponse()
	resp.Version = version
	topic := kmsg.NewProduceResponseTopic()
	topic.Topic = "t"
	for _, a := range answers {
		part := kmsg.NewProduceResponseTopicPartition()
		part.Partition = a.partition
		part.ErrorCode = a.code
		part.BaseOffset = a.stamp.base
		part.LogAppendTime = a.stamp.time
		topic.Partitions = append(topic.Partitions, part)
	}
	resp.Topics = append(resp.Topics, topic)
	head := []byte{byte(correlation >> 24), byte(correlation >> 16), byte(correlation >> 8), byte(correlation)}
	if version >= produceFlexible {
		head = append(head, 0)
	}
	body := resp.AppendTo(head)
	n := len(body)
	return append([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}

func TestWireFollowsAnswers(t *testing.T) {
	for _, version := range []int16{3, 8, 9, 12, 13} {
		for _, chunks := range []string{"whole", "byte by byte"} {
			w := newWire(4)
			var answers []byte
			answers = append(answers, response(version, 7, answer{partition: 2, stamp: stamp{100, 5000}}, answer{partition: 0, stamp: stamp{10, -1}})...)
			answers = append(answers, 0, 0, 0, 6, 0, 0, 0, 8, 1, 2) // an answer to another request
			answers = append(answers, response(version, 9, answer{partition: 2, code: kerr.MessageTooLarge.Code})...)
			var reader io.Reader = &oneShot{answers}
			if chunks == "byte by byte" {
				reader = iotest.OneByteReader(&oneShot{answers})
			}
			conn := w.watch(&script{answers: reader})
			since := w.doubts(2)
			conn.Write(request(version, 7, 2, 0))
			conn.Write(request(version, 9, 2))
			if w.clean(2, since) || w.clean(0, since) || !w.clean(1, w.doubts(1)) {
				t.Fatalf("version %d: want doubt about what is on its way, and about nothing else", version)
			}
			if _, err := io.ReadAll(conn); err != nil {
				t.Fatal(err)
			}
			if w.clean(2, since) {
				t.Fatalf("version %d: a batch was acknowledged and not claimed, want doubt", version)
			}
			for _, offset := range []int64{100, 101, 150} {
				if time, ok := w.claim(2, offset); !ok || time != 5000 {
					t.Fatalf("version %d: offset %d has time %d, %v; want 5000", version, offset, time, ok)
				}
			}
			if !w.clean(2, since) {
				t.Fatalf("version %d: everything is answered, clearly, and claimed; want no doubt", version)
			}
			if _, ok := w.claim(0, 10); ok {
				t.Fatalf("version %d: partition 0 has the producer's time", version)
			}
		}
	}
}

// oneShot reads b.
type oneShot struct{ b []byte }

func (r *oneShot) Read(b []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b, r.b)
	r.b = r.b[n:]
	return n, nil
}

func TestWireDoubts(t *testing.T) {
	for name, test := range map[string]struct {
		answers []byte
		doubt   bool
	}{
		"no answer":            {nil, true},
		"half an answer":       {response(9, 1, answer{partition: 0})[:20], true},
		"a refusal":            {response(9, 1, answer{partition: 0, code: kerr.InvalidRecord.Code}), false},
		"an ambiguous answer":  {response(9, 1, answer{partition: 0, code: kerr.RequestTimedOut.Code}), true},
		"another partition's":  {response(9, 1, answer{partition: 1}), true},
		"an answer too large":  {append([]byte{0x7f, 0, 0, 0, 0, 0, 0, 1}, make([]byte, 100)...), true},
		"an answer of nothing": {[]byte{0, 0, 0, 4, 0, 0, 0, 1}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire(2)
			conn := w.watch(&script{answers: &oneShot{test.answers}})
			since := w.doubts(0)
			conn.Write(request(9, 1, 0))
			io.ReadAll(conn)
			conn.Close()
			if got := !w.clean(0, since); got != test.doubt {
				t.Errorf("doubt %v, want %v", got, test.doubt)
			}
			// What was handed on afterwards has nothing to do with it.
			if !w.clean(0, w.doubts(0)) {
				t.Error("the doubt does not end")
			}
		})
	}
}

// Nothing that a broker can send makes the watch fail.
func FuzzWireAnswers(f *testing.F) {
	f.Add(response(9, 1, answer{partition: 0, stamp: stamp{1, 2}}))
	f.Add(append(response(9, 8), response(9, 1, answer{partition: 1, code: 10})...))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1})
	f.Add([]byte{255, 255, 255, 255, 0, 0, 0, 1, 0})
	f.Fuzz(func(t *testing.T, answers []byte) {
		w := newWire(2)
		conn := w.watch(&script{answers: &oneShot{answers}})
		conn.Write(request(9, 1, 0, 1))
		conn.Write(request(9, 2, 1))
		io.ReadAll(conn)
		conn.Close()
		for p := range w.parts {
			if n := w.parts[p].outstanding; n != 0 {
				t.Fatalf("%d requests outstanding for partition %d after the connection closed", n, p)
			}
		}
	})
}

func TestVerdicts(t *testing.T) {
	for _, test := range []struct {
		err    error
		clean  bool
		status backplane.Status
		code   backplane.Code
	}{
		{nil, true, backplane.Stored, ""},
		{kgo.ErrMaxBuffered, false, backplane.Rejected, backplane.CodeOverloaded},
		{kerr.MessageTooLarge, true, backplane.Rejected, backplane.CodeTooLarge},
		{kerr.MessageTooLarge, false, backplane.Unknown, backplane.CodeUnavailable},
		{errors.Join(errors.New("wrapped"), kerr.TopicAuthorizationFailed), true, backplane.Rejected, backplane.CodeForbidden},
		{kerr.NotEnoughReplicas, true, backplane.Unknown, backplane.CodeUnavailable},
		{kerr.NotLeaderForPartition, true, backplane.Unknown, backplane.CodeUnavailable},
		{kerr.RequestTimedOut, true, backplane.Unknown, backplane.CodeUnavailable},
		{kerr.OutOfOrderSequenceNumber, true, backplane.Unknown, backplane.CodeUnavailable},
		{kgo.ErrRecordTimeout, true, backplane.Unknown, backplane.CodeTimeout},
		{kgo.ErrRecordRetries, true, backplane.Unknown, backplane.CodeUnavailable},
		{kgo.ErrClientClosed, true, backplane.Unknown, backplane.CodeUnavailable},
		{&net.OpError{Op: "read", Err: io.EOF}, true, backplane.Unknown, backplane.CodeUnavailable},
	} {
		status, code := verdictOf(test.err, test.clean)
		if status != test.status || code != test.code {
			t.Errorf("%v, clean %v: %d %q, want %d %q", test.err, test.clean, status, code, test.status, test.code)
		}
	}
}

// A promise that is called for every record of a large send does not allocate.
func TestProduceAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools drop")
	}
	p := &Producer{partitions: 1024, wire: newWire(1024), counts: newProducerCounts()}
	p.table = newFlights(&ProducerConfig{MaxRecords: 1000, MaxBytes: 1 << 30, AckTimeout: time.Minute}, p.counts)
	p.pool()
	s := &backplane.Send{From: []byte("alice"), To: [][]byte{[]byte("bob"), []byte("carol")}, Value: make([]byte, 200), Session: 7}
	w := new(unlocked)
	got := testing.AllocsPerRun(1000, func() {
		f := p.flights.Get().(*flight)
		f.plan(s, p.partitions)
		if _, code := p.table.enter(f, w); code != "" {
			t.Fatal(code)
		}
		f.fill(s)
		records := len(f.records)
		for i := range records {
			r := f.records[i]
			r.doubts = p.wire.doubts(r.partition)
			r.Timestamp = time.UnixMilli(1)
			r.settle(&r.Record, nil)
		}
		p.table.handed()
	})
	if got != 0 {
		t.Errorf("a send allocates %v times, want 0", got)
	}
}
