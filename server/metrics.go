package server

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/godwit-im/godwit/registry"
	"github.com/godwit-im/godwit/server/delivery"
	"github.com/godwit-im/godwit/server/reactor"
	"github.com/godwit-im/godwit/server/session"
	"github.com/godwit-im/godwit/server/tail"
	"github.com/godwit-im/godwit/server/timeline"
)

// collector gives the node's own numbers to Prometheus. It reads counters that the
// loops and workers keep anyway, so that counting costs them nothing more.
//
// Two sums hold over all time, but for what is under way at the moment:
//
//	godwit_records_total, summed over result, = records consumed
//	godwit_targets_total = godwit_deliveries_total + godwit_left_to_catch_up_total
//	                       + godwit_drops_total, summed over reason, + what is in the mailboxes
type collector struct {
	reactor     *reactor.Reactor
	registry    *registry.Registry
	memory      *delivery.Memory
	tails       *tail.Tails
	timelines   *timeline.Counters
	dispatchers []*delivery.Dispatcher
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("godwit_"+name, help, labels, nil)
}

var (
	connectionsDesc    = desc("connections", "Open connections, welcomed or not.")
	connectionsMaxDesc = desc("connections_max", "The most connections that may be open.")
	acceptedDesc       = desc("connections_accepted_total", "Connections accepted.")
	sessionsDesc       = desc("sessions", "Sessions welcomed and not yet closed.")
	usersDesc          = desc("users", "Users with a connection on this node.")
	upgradesDesc       = desc("upgrades_total", "Sessions welcomed.")
	refusalsDesc       = desc("refusals_total", "Connections and requests refused, by reason.", "reason")
	closesDesc         = desc("closes_total", "Close frames sent, by code; client for codes that a client chose.", "code")
	idleDesc           = desc("idle_closed_total", "Connections given up because the client was silent.")
	stalledDesc        = desc("stalled_closed_total", "Connections given up because the client took nothing of its output.")
	badFramesDesc      = desc("bad_frames_total", "Client frames refused.")
	acksDesc           = desc("acks_total", "Answers to sends, by status.", "status")
	recordsDesc        = desc("records_total", "Records of the log, by what became of them.", "result")
	forgottenDesc      = desc("forgotten_message_ids_total", "Message ids forgotten before their time, for want of room; a retry of one is delivered twice.")
	targetsDesc        = desc("targets_total", "Pairs of a record and a connection that it is for.")
	deliveriesDesc     = desc("deliveries_total", "Messages put into a connection's outbox.")
	dropsDesc          = desc("drops_total", "Messages not put on a connection that they were for, by reason.", "reason")
	leftDesc           = desc("left_to_catch_up_total", "Messages that passed by a connection that is catching up, which reads them later.")
	caughtDesc         = desc("caught_deliveries_total", "Messages put into the outbox of a connection that was catching up.")
	catchingDesc       = desc("catching_up", "Connections that are catching up.")
	caughtUpDesc       = desc("caught_up_total", "Connections that were catching up and are live again.")
	overflowsDesc      = desc("overflows_total", "Connections that began to catch up for want of room, by reason.", "reason")
	readsFailedDesc    = desc("catch_up_reads_failed_total", "Readings of connections that catch up that failed; they are tried again.")
	tailBytesDesc      = desc("tail_bytes", "Memory of the recent messages that the node keeps.")
	scansDesc          = desc("timeline_scans_total", "Scans of the log for connections and pages that the tail could not serve; one serves all who wait.")
	scannedDesc        = desc("timeline_scanned_records_total", "Records that those scans have read.")
	restartsDesc       = desc("timeline_window_restarts_total", "Times that what such scans keep was begun at another place of the log.")
	evictedDesc        = desc("timeline_window_evicted_records_total", "Records that it gave up to move on.")
	emptiedDesc        = desc("timeline_windows_emptied_total", "Times that it was given up for want of memory.")
	idsForgottenDesc   = desc("timeline_forgotten_message_ids_total", "Message ids that scans forgot before their time, for want of room; a retry of one is read twice.")
	windowsDesc        = desc("timeline_windows", "Partitions of which something was read from the log and is kept for a moment.")
	windowBytesDesc    = desc("timeline_window_bytes", "Memory of that.")
	storeReadsDesc     = desc("timeline_store_reads_total", "Reads of the history store.")
	questionsDesc      = desc("timeline_questions_total", "Questions that reads have asked: how far history has come, and where a partition of the log begins and ends.", "of")
	readFailuresDesc   = desc("timeline_failures_total", "Reads of the log and of the history store, and questions to them, that failed.")
	gapsDesc           = desc("gaps_total", "Gaps told to clients.")
	heartbeatsDesc     = desc("heartbeats_total", "Heartbeats sent to clients.")
	frameBytesDesc     = desc("frame_bytes", "Memory of all frames on their way to clients, and of messages that clients have not finished.")
	frameBytesMaxDesc  = desc("frame_bytes_max", "The budget for that memory.")
	mailboxDesc        = desc("mailbox_entries", "Entries in a loop's mailbox.", "loop")
	mailboxBytesDesc   = desc("mailbox_bytes", "Bytes of the entries in a loop's mailbox.", "loop")
)

// Describe sends nothing: the collector is unchecked, as its metrics are all made
// in Collect.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect is called by Prometheus, on any goroutine.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	s := c.reactor.Stats()
	gauge(connectionsDesc, s.Connections)
	gauge(connectionsMaxDesc, s.Cap)
	counter(acceptedDesc, s.Accepted)
	users, _ := c.registry.Len()
	gauge(usersDesc, int64(users))
	gauge(frameBytesDesc, c.memory.Used())
	gauge(frameBytesMaxDesc, c.memory.Max())

	sum := func(of func(*session.Counters) uint64) (total uint64) {
		for _, l := range s.Loops {
			total += of(l.Counters)
		}
		return total
	}
	for i, l := range s.Loops {
		gauge(mailboxDesc, int64(l.MailboxEntries), strconv.Itoa(i))
		gauge(mailboxBytesDesc, l.MailboxBytes, strconv.Itoa(i))
	}
	gauge(sessionsDesc, int64(sum(func(c *session.Counters) uint64 { return uint64(c.Sessions.Load()) })))
	counter(upgradesDesc, sum(func(c *session.Counters) uint64 { return c.Upgrades.Load() }))
	counter(idleDesc, sum(func(c *session.Counters) uint64 { return c.Idle.Load() }))
	counter(stalledDesc, sum(func(c *session.Counters) uint64 { return c.Stalled.Load() }))
	counter(badFramesDesc, sum(func(c *session.Counters) uint64 { return c.BadFrames.Load() }))
	counter(deliveriesDesc, sum(func(c *session.Counters) uint64 { return c.Put.Load() }))
	counter(leftDesc, sum(func(c *session.Counters) uint64 { return c.Left.Load() }))
	counter(caughtDesc, sum(func(c *session.Counters) uint64 { return c.Caught.Load() }))
	gauge(catchingDesc, int64(sum(func(c *session.Counters) uint64 { return uint64(c.Catching.Load()) })))
	counter(caughtUpDesc, sum(func(c *session.Counters) uint64 { return c.CaughtUp.Load() }))
	counter(readsFailedDesc, sum(func(c *session.Counters) uint64 { return c.ReadsFailed.Load() }))
	for i, name := range session.OverflowReasons() {
		counter(overflowsDesc, sum(func(c *session.Counters) uint64 { return c.Overflow(i) }), name)
	}
	gauge(tailBytesDesc, c.tails.Bytes())
	collectTimelines(c.timelines, counter, gauge)
	counter(gapsDesc, sum(func(c *session.Counters) uint64 { return c.Gaps.Load() }))
	counter(heartbeatsDesc, sum(func(c *session.Counters) uint64 { return c.Heartbeats.Load() }))
	for i, name := range session.DropReasons() {
		counter(dropsDesc, sum(func(c *session.Counters) uint64 { return c.Drop(i) }), name)
	}
	counter(refusalsDesc, s.Full, "connections_max")
	for i, name := range session.RefusalReasons() {
		counter(refusalsDesc, sum(func(c *session.Counters) uint64 { return c.Refusal(i) }), name)
	}
	for i, name := range session.AckStatuses() {
		counter(acksDesc, sum(func(c *session.Counters) uint64 { return c.Acks[i].Load() }), name)
	}
	for i, name := range session.CloseLabels() {
		counter(closesDesc, sum(func(c *session.Counters) uint64 { return c.Closes[i].Load() }), name)
	}

	var records [5]uint64
	var targets, forgotten uint64
	for _, d := range c.dispatchers {
		records[0] += d.Counters.Dispatched.Load()
		records[1] += d.Counters.Nobody.Load()
		records[2] += d.Counters.Duplicates.Load()
		records[3] += d.Counters.Hidden.Load()
		records[4] += d.Counters.Bad.Load()
		targets += d.Counters.Targets.Load()
		forgotten += d.Counters.Forgotten.Load()
	}
	for i, result := range []string{"dispatched", "nobody", "duplicate", "hidden", "bad"} {
		counter(recordsDesc, records[i], result)
	}
	counter(targetsDesc, targets)
	counter(forgottenDesc, forgotten)
}

// collectTimelines gives everything that a timeline.Service counts.
func collectTimelines(c *timeline.Counters, counter func(d *prometheus.Desc, v uint64, labels ...string), gauge func(d *prometheus.Desc, v int64, labels ...string)) {
	counter(scansDesc, c.Scans.Load())
	counter(scannedDesc, c.Scanned.Load())
	counter(restartsDesc, c.Restarts.Load())
	counter(evictedDesc, c.Evicted.Load())
	counter(emptiedDesc, c.Emptied.Load())
	counter(idsForgottenDesc, c.Forgotten.Load())
	gauge(windowsDesc, c.Windows.Load())
	gauge(windowBytesDesc, c.Bytes.Load())
	counter(storeReadsDesc, c.Stored.Load())
	counter(questionsDesc, c.Asked.Load(), "store")
	counter(questionsDesc, c.Bounds.Load(), "log")
	counter(readFailuresDesc, c.Failed.Load())
}
