package kafka

import (
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// heard notes when a broker last answered a request of one kind. It is a hook of a
// client. An answer may carry an error of the broker: what it tells is that there is one.
type heard struct {
	key   int16 // of the request
	began time.Time
	at    atomic.Int64 // nanoseconds after began; 0 for never
}

const keyFetch = 1 // the key of fetch requests

var _ kgo.HookBrokerE2E = (*heard)(nil)

func newHeard(key int16) *heard { return &heard{key: key, began: time.Now()} }

// OnBrokerE2E is called by the client for each request that has ended.
func (h *heard) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e kgo.BrokerE2E) {
	if key == h.key && e.Err() == nil {
		h.at.Store(int64(max(time.Since(h.began), 1)))
	}
}

// last returns when that was, zero for never.
func (h *heard) last() time.Time {
	after := h.at.Load()
	if after == 0 {
		return time.Time{}
	}
	return h.began.Add(time.Duration(after))
}
