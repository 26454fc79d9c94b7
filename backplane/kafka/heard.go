package kafka

import (
	"github.com/twmb/franz-go/pkg/kgo"
)

// heard notes when a broker last answered a request of one kind. It is a hook of a
// client. An answer may carry an error of the broker: what it tells is that there is one.
type heard struct {
	*Moment
	key int16 // of the request
}

const keyFetch = 1 // the key of fetch requests

var _ kgo.HookBrokerE2E = (*heard)(nil)

func newHeard(key int16) *heard { return &heard{NewMoment(), key} }

// OnBrokerE2E is called by the client for each request that has ended.
func (h *heard) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e kgo.BrokerE2E) {
	if key == h.key && e.Err() == nil {
		h.Now()
	}
}
