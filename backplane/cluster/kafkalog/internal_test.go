package kafkalog

import (
	"errors"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/godwit-im/godwit/backplane/cluster"
)

// A batch reads back as what was put into it, behind what was there, with a checksum
// that is right.
func TestBatch(t *testing.T) {
	records := []cluster.Record{
		{Key: "a", Value: []byte("one")},
		{Key: "barrier/x"},
		{Key: strings.Repeat("k", 200), Value: make([]byte, 70_000)},
		{Key: "empty", Value: []byte{}},
	}
	dst := appendBatch([]byte("before"), 1234, records)
	if string(dst[:6]) != "before" {
		t.Fatalf("it begins with %q", dst[:6])
	}
	raw := dst[6:]
	var batch kmsg.RecordBatch
	if err := batch.ReadFrom(raw); err != nil {
		t.Fatal(err)
	}
	if int(batch.Length) != len(raw)-12 || batch.Magic != 2 || batch.NumRecords != 4 || batch.LastOffsetDelta != 3 ||
		batch.FirstTimestamp != 1234 || batch.MaxTimestamp != 1234 || batch.ProducerID != -1 {
		t.Errorf("the batch of %d bytes says %+v", len(raw), batch)
	}
	if sum := crc32.Checksum(raw[21:], castagnoli); uint32(batch.CRC) != sum {
		t.Errorf("the checksum is %x, want %x", uint32(batch.CRC), sum)
	}
	in := batch.Records
	for i, want := range records {
		var r kmsg.Record
		if err := r.ReadFrom(in); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
		if string(r.Key) != want.Key || string(r.Value) != string(want.Value) || (r.Value == nil) != (want.Value == nil) || int(r.OffsetDelta) != i {
			t.Errorf("record %d is %d, %q with %d bytes", i, r.OffsetDelta, r.Key, len(r.Value))
		}
		whole := len(r.AppendTo(nil))
		if prefix := varintLen(int(r.Length)); whole != prefix+int(r.Length) {
			t.Fatalf("record %d of %d bytes says that %d follow its length", i, whole, r.Length)
		}
		in = in[whole:]
	}
	if len(in) > 0 {
		t.Errorf("%d bytes are left", len(in))
	}
}

// varintLen returns how many bytes a length takes as a zigzag varint.
func varintLen(n int) int {
	bytes := 1
	for n <<= 1; n >= 0x80; n >>= 7 {
		bytes++
	}
	return bytes
}

// A reader that had no answer for so long that it may have missed deletions says so.
func TestInTouch(t *testing.T) {
	s := newFollowing()
	at := s.answered
	for _, step := range []struct {
		after time.Duration
		want  bool
	}{{time.Second, true}, {outOfTouch, true}, {outOfTouch + time.Second, false}, {time.Second, true}, {-time.Hour, true}} {
		at = at.Add(step.after)
		if got := s.inTouch(at); got != step.want {
			t.Errorf("after %v it is in touch: %v", step.after, got)
		}
	}
}

// A failure that goes on is told at first and now and then, and its end once.
func TestComplaints(t *testing.T) {
	var c complaints
	at := time.Now()
	wrong := errors.New("wrong")
	for i, step := range []struct {
		after        time.Duration
		err          error
		failing, now bool
	}{
		{0, nil, false, false},
		{0, wrong, true, true},
		{time.Second, wrong, true, false},
		{complainEvery, wrong, true, true},
		{time.Second, nil, false, true},
		{time.Second, nil, false, false},
		{time.Second, wrong, true, true},
	} {
		at = at.Add(step.after)
		if failing, now := c.about(step.err, at); failing != step.failing || now != step.now {
			t.Errorf("step %d: failing is %v, to be told now is %v", i, failing, now)
		}
	}
}
