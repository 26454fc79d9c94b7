package bench

import (
	"strconv"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/bench/load"
	"github.com/godwit-im/godwit/bench/report"
	"github.com/godwit-im/godwit/server/config"
)

// BenchmarkFairness measures what one client's greed does to others.
//
// In "greedy" 1,000 clients send a message now and then, 500 a second together, while
// two connections send each other messages of 1,000 bytes as fast as a node lets them by
// default (limits.sends_per_second); in "unlimited" there is no such limit, and they send
// as fast as they are answered. x-p99 compares the latency of the quiet ones with what it
// is when they are alone, and x-elsewhere does so when the greedy ones are at another
// node of the same machine: what lies between the two is the node's own doing.
//
// In "devices" one user has 15,000 connections and gets two messages a second, while
// others of the same loops ask for pongs, which a loop gives as soon as it reads: the
// longest wait for one (max-us) is the longest time that a loop did not read.
//
//	go test ./bench -run '^$' -bench Fairness
func BenchmarkFairness(b *testing.B) {
	b.Run("greedy", func(b *testing.B) {
		limit := config.Default().Limits.SendsPerSecond
		greed(b, load.Traffic{Rate: float64(2 * limit)}, "--limits-sends-per-second", strconv.Itoa(limit))
	})
	b.Run("unlimited", func(b *testing.B) { greed(b, load.Traffic{InFlight: 500}) })
	b.Run("devices", func(b *testing.B) {
		noTime(b)
		s := serve(b, kafkatest.Real(b, partitions))
		n := size(15_000, 2000)
		// One user is on both sides: with all the devices, and as a sender with one more.
		crowd := s.config(n)
		crowd.Users, crowd.Prefix = 1, "crowd-"
		devices := newClients(b, crowd)
		devices.open(b, n)
		crowd.Connections, crowd.Users = 2, 2
		senders := newClients(b, crowd)
		senders.open(b, 2)
		others := clientsOf(b, s, 100)
		others.open(b, 100)

		pings := load.Traffic{Shape: load.Ping, Rate: 1000, Duration: size(10*time.Second, 2*time.Second)}
		messages := load.Traffic{Shape: load.Unicast, Size: 200, Rate: 2, Duration: pings.Duration + time.Second}
		alone := others.run(b, pings)
		before, err := devices.Stats()
		if err != nil {
			b.Fatal(err)
		}
		finish := senders.start(b, s, messages, 1)
		with := others.run(b, pings)
		sent := finish()
		if !sent.Stats.Flawless() || !sent.Check.Exact() {
			b.Fatalf("the messages to one user: %+v", sent)
		}
		devices.frames(b, before, sent.Stats.Stored*int64(n))
		metric(b, "max-us", float64(with.Ack.Max))
		metric(b, "alone-max-us", float64(alone.Ack.Max))
		metric(b, "p99-us", float64(with.Ack.P99))
		metric(b, "alone-p99-us", float64(alone.Ack.P99))
		metric(b, "devices", float64(n))
	})
}

// greed measures quiet clients alone, beside two that send what flood says, and with
// those at another node.
func greed(b *testing.B, flood load.Traffic, flags ...string) {
	noTime(b)
	s, other := serve(b, kafkatest.Real(b, partitions), flags...), serve(b, kafkatest.Real(b, partitions), flags...)
	n := size(1000, 100)
	quiet := clientsOf(b, s, n)
	quiet.open(b, n)
	here, elsewhere := greedyAt(b, s), greedyAt(b, other)

	t := load.Traffic{Shape: load.Unicast, Size: 200, Rate: 500, Duration: size(6*time.Second, time.Second)}
	flood.Shape, flood.Size, flood.Duration = load.Unicast, 1000, t.Duration+t.Duration/4
	p99 := func() float64 { return float64(quiet.run(b, t).Deliver.P99) }
	var rate float64
	beside := func(c *clients, s *server) float64 {
		finish := c.start(b, s, flood, 200)
		v := p99()
		r := finish()
		rate = float64(r.Stats.Stored) / r.Elapsed.Seconds()
		return v
	}
	beside(elsewhere, other)
	beside(here, s)
	columns := map[string][]float64{}
	for range *rounds {
		alone, away, with := p99(), beside(elsewhere, other), beside(here, s)
		tell("%s: p99 %s us alone, %s with the greedy ones, %s with them elsewhere", b.Name(), report.Number(alone), report.Number(with), report.Number(away))
		for name, v := range map[string]float64{
			"p99-us": with, "alone-p99-us": alone, "elsewhere-p99-us": away,
			"x-p99": with / alone, "x-elsewhere": away / alone, "greedy-msgs/s": rate,
		} {
			columns[name] = append(columns[name], v)
		}
	}
	for _, name := range []string{"x-p99", "x-elsewhere", "p99-us", "alone-p99-us", "elsewhere-p99-us", "greedy-msgs/s"} {
		metric(b, name, report.Median(columns[name]))
	}
}

// greedyAt opens two connections of two users to a node.
func greedyAt(b *testing.B, s *server) *clients {
	b.Helper()
	config := s.config(2)
	config.Prefix = "greedy-"
	c := newClients(b, config)
	c.open(b, 2)
	return c
}
