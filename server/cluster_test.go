package server

import (
	"testing"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/server/config"
)

// TestSends: each of the two numbers that a cluster has replaces the node's own.
func TestSends(t *testing.T) {
	for _, test := range []struct {
		own, cluster, want [2]int // sends per second, burst
	}{
		{own: [2]int{100, 200}, want: [2]int{100, 200}},
		{own: [2]int{100, 200}, cluster: [2]int{10, 20}, want: [2]int{10, 20}},
		{own: [2]int{100, 200}, cluster: [2]int{10, 0}, want: [2]int{10, 200}},
		{own: [2]int{100, 200}, cluster: [2]int{0, 500}, want: [2]int{100, 500}},
		{own: [2]int{100, 200}, cluster: [2]int{0, 50}, want: [2]int{100, 100}},
		{own: [2]int{100, 200}, cluster: [2]int{300, 0}, want: [2]int{300, 300}},
		{own: [2]int{0, 200}, cluster: [2]int{0, 50}, want: [2]int{0, 50}}, // no limit
	} {
		live := cluster.Live{SendsPerSecond: test.cluster[0], SendsBurst: test.cluster[1]}
		perSecond, burst := sends(live, &config.Limits{SendsPerSecond: test.own[0], SendsBurst: test.own[1]})
		if got := [2]int{perSecond, burst}; got != test.want {
			t.Errorf("a node with %v in a cluster with %v: %v, want %v", test.own, test.cluster, got, test.want)
		}
	}
}
