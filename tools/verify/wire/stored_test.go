package wire

import (
	"reflect"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// TestDecodeStored decodes what the vectors' deliveries carry: it must be what the delivery
// shows.
func TestDecodeStored(t *testing.T) {
	_, server := vectors(t)
	tested := 0
	for _, v := range server {
		frame, _ := decode(Proto, v.bytes(t, Proto))
		delivery, ok := frame.(*Deliver)
		if !ok || delivery.Self {
			continue
		}
		top, _ := protoMessage("a frame", v.bytes(t, Proto), new(findings))
		value := top.one(5, protowire.BytesType).bytes
		got, err := DecodeStored(value)
		if want := messageOf(&delivery.Message); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", v.Name, got, err, want)
		}
		if _, err := DecodeStored(value[:len(value)-1]); err == nil {
			t.Errorf("%s: it was decoded without its last byte", v.Name)
		}
		unknown := protowire.AppendVarint(protowire.AppendTag(value[:len(value):len(value)], 90, protowire.VarintType), 1)
		if _, err := DecodeStored(unknown); err == nil {
			t.Errorf("%s: it was decoded with a field that no message has", v.Name)
		}
		tested++
	}
	if tested == 0 {
		t.Error("there are no deliveries among the vectors")
	}
}
