package timeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
)

// TestModel lets anything happen to a node, its log and its history, while readers
// go on from any of their cursors, and compares what they get with the rules, applied to
// all that the log ever had.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			m := newModel(rt)
			defer m.close()
			m.run()
		})
	})
}

// model is a world and its readers.
type model struct {
	*world
	rt     *rapid.T
	users  []string
	resent []*backplane.Message
	broken trouble // of the log
	absent trouble // of the store
	reset  time.Time

	readers []*modelReader
}

// modelReader is a device.
type modelReader struct {
	user    string
	p       backplane.Partition
	cursors []int64 // all that it ever had; it may go back
	after   int64
}

func newModel(rt *rapid.T) *model {
	withStore := rapid.SampledFrom([]bool{true, true, true, false}).Draw(rt, "with a store")
	budget := rapid.SampledFrom([]int64{none, 20 << 10, 400 << 10, roomy}).Draw(rt, "tails")
	m := &model{rt: rt, world: newWorld(2, withStore, budget, MinScanBytes)}
	m.users = []string{m.user(0, 0), m.user(0, 1), m.user(1, 0)}
	m.start()
	return m
}

func (m *model) close() {
	// What waits for the store ends with it.
	m.log.set(fine, 0)
	if m.store != nil {
		m.store.set(fine)
	}
	m.world.close()
}

func (m *model) pick(what string, n int) int { return rapid.IntRange(0, n-1).Draw(m.rt, what) }

func (m *model) partition() backplane.Partition { return backplane.Partition(m.pick("partition", 2)) }

func (m *model) run() {
	actions := []struct {
		weight int
		f      func()
	}{
		{8, m.sendSome}, {3, m.resend}, {1, m.erase}, {2, m.oddities}, {4, m.sleep},
		{6, m.consumeSome}, {6, m.applySome}, {1, m.restart}, {2, m.cutLog}, {2, m.trimStore},
		{1, m.resetStore}, {2, m.break_}, {1, m.takeOver},
		{3, m.join}, {10, m.forward}, {4, m.together}, {6, m.pages}, {4, m.resolve}, {3, m.last},
	}
	var draw []func()
	for _, a := range actions {
		for range a.weight {
			draw = append(draw, a.f)
		}
	}
	for range rapid.IntRange(1, 6).Draw(m.rt, "scores") * 25 {
		draw[m.pick("action", len(draw))]()
	}
	m.conclude()
}

func (m *model) sendSome() {
	to := []string{m.users[m.pick("to", 3)], m.users[m.pick("and", 3)]}
	kind := rapid.SampledFrom([]backplane.Kind{0, 0, 0, 0, backplane.KindSignal}).Draw(m.rt, "kind")
	ttl := rapid.SampledFrom([]int64{0, 0, 0, 1000, 90_000, 600_000}).Draw(m.rt, "ttl")
	body := rapid.SampledFrom([]int{5, 5, 500, 60_000}).Draw(m.rt, "body")
	from := m.users[m.pick("from", 3)]
	for range rapid.SampledFrom([]int{1, 1, 3, 8}).Draw(m.rt, "messages") {
		msg := m.message(from, kind, ttl, body, to...)
		back := rapid.SampledFrom([]int64{0, 0, 0, 1, 20_000}).Draw(m.rt, "back")
		m.send(msg, back, everywhere)
		m.resent = append(m.resent, msg)
	}
}

// resend is a retry: some of its records may be in the log already.
func (m *model) resend() {
	if n := len(m.resent); n > 0 {
		only := m.pick("where", 3)
		m.send(m.resent[n-1-m.pick("message", min(n, 10))], 0, func(p backplane.Partition) bool { return only == 2 || int(p) == only })
	}
}

func (m *model) erase() {
	m.send(m.message(m.users[m.pick("user", 3)], backplane.KindErase, 0, 0), 0, everywhere)
}

func (m *model) oddities() {
	p := m.partition()
	switch hole := m.pick("oddity", 3) == 0; {
	case hole && m.log.partitions[p].end > 0:
		m.log.skip(p)
	case !hole:
		m.junk(p, m.pick("list", 2) == 0)
	}
}

func (m *model) sleep() {
	time.Sleep(rapid.SampledFrom([]time.Duration{
		1, time.Millisecond, time.Second, 11 * time.Second, 35 * time.Second, 70 * time.Second, 5 * time.Minute,
	}).Draw(m.rt, "sleep"))
}

func (m *model) some() int { return rapid.SampledFrom([]int{1, 3, 10, 1 << 30}).Draw(m.rt, "records") }

func (m *model) consumeSome() { m.consume(m.partition(), m.some()) }

func (m *model) applySome() {
	if m.store != nil && m.absent == fine {
		m.apply(m.partition(), m.some())
	}
}

// takeOver lets another process write history.
func (m *model) takeOver() {
	if m.store != nil && m.absent == fine {
		m.startHistory()
	}
}

// restart is also what happens to a partition when it moves to another node.
func (m *model) restart() { m.start() }

// cutLog is retention. What the node is about to read is younger.
func (m *model) cutLog() {
	p := m.partition()
	if next := m.feeds[p].next; next > 0 {
		m.log.cut(p, int64(m.pick("first", int(next)+1)))
	}
}

func (m *model) trimStore() {
	if m.store == nil {
		return
	}
	p := m.partition()
	trim := func() {
		if a := m.store.position(p); a.Offset >= 0 {
			m.store.trim(p, int64(m.pick("floor", int(a.Offset)+1)))
		}
	}
	if m.pick("when", 2) == 0 {
		trim()
	} else {
		floor := rapid.Int64Range(0, 200).Draw(m.rt, "floor during a read")
		m.store.mu.Lock()
		m.store.beforeRead = func() { m.store.trim(p, min(floor, m.store.position(p).Offset)) }
		m.store.mu.Unlock()
	}
}

// resetStore is what an operator does who has history written anew.
func (m *model) resetStore() {
	if m.store != nil && m.absent == fine {
		m.store.Reset(context.Background())
		m.startHistory()
		m.reset = time.Now()
	}
}

func (m *model) break_() {
	m.broken = trouble(rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(m.rt, "log"))
	failAfter := rapid.SampledFrom([]int{0, 0, 1, 5}).Draw(m.rt, "records of a scan")
	m.log.set(m.broken, failAfter)
	if failAfter > 0 && m.broken == fine {
		m.broken = down
	}
	if m.store != nil {
		m.absent = trouble(rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(m.rt, "store"))
		m.store.set(m.absent)
	}
	// What hangs ends, and failures that are shared are forgotten.
	time.Sleep(2 * DefaultTimeout)
}

func (m *model) join() {
	user := m.users[m.pick("user", 3)]
	p := backplane.PartitionOf(user, 2)
	after := rapid.Int64Range(-1, m.log.partitions[p].end-1).Draw(m.rt, "cursor")
	m.readers = append(m.readers, &modelReader{user: user, p: p, after: after, cursors: []int64{after}})
}

// reader picks a reader; it may resume from any cursor that it had.
func (m *model) reader() *modelReader {
	if len(m.readers) == 0 {
		m.join()
	}
	r := m.readers[m.pick("reader", len(m.readers))]
	if m.pick("resume", 4) == 0 {
		r.after = r.cursors[m.pick("cursor", len(r.cursors))]
	}
	return r
}

func (m *model) forward() {
	r := m.reader()
	for range rapid.IntRange(1, 4).Draw(m.rt, "pages") {
		m.read(r, rapid.SampledFrom([]int{1, 2, 100}).Draw(m.rt, "limit"), rapid.SampledFrom([]int{1, 1000, 1 << 20}).Draw(m.rt, "bytes"))
	}
}

// together lets several readers wait for the same window.
func (m *model) together() {
	var all []*modelReader
	for range rapid.IntRange(2, 6).Draw(m.rt, "readers") {
		if r := m.reader(); !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	for _, r := range all {
		m.before(r.user, r.p) // so that nobody has to let the node begin
	}
	problems := make(chan any, len(all))
	var wg sync.WaitGroup
	for _, r := range all {
		wg.Go(func() {
			defer func() { problems <- recover() }()
			m.read(r, 3, 1<<20)
		})
	}
	wg.Wait()
	for range all {
		if p := <-problems; p != nil {
			panic(p)
		}
	}
}

// before is what the node and the store know when a call begins.
type before struct {
	now              int64
	floor, end, from int64 // of the tail, and where it began
	applied          history.Applied
	erased           int64 // the last erasure that the tail has seen
	lag              int   // bytes that history has not applied
}

func (m *model) before(user string, p backplane.Partition) before {
	t := m.tails.Partition(p)
	if t.End() < 0 {
		m.consume(p, 1) // a node does not serve a partition before it has begun
	}
	b := before{
		now: time.Now().UnixMilli(), floor: t.Floor(), end: t.End(), from: m.feeds[p].from,
		applied: history.Applied{Offset: -1, Floor: -1},
	}
	if m.store != nil {
		b.applied = m.store.position(p)
	}
	if b.erased = m.erased(p, user, b.end); b.erased < b.from && !m.found(p, b.erased, b.applied) {
		b.erased = -1
	}
	for offset, f := range m.facts[p] {
		if offset > b.applied.Offset {
			b.lag += len(f.Value) + 2*recordBytes
		}
	}
	return b
}

// found reports whether an erasure that stands before the tail can be known: history has
// applied it, or lets the node look for it in the log.
func (m *model) found(p backplane.Partition, erasure int64, applied history.Applied) bool {
	return m.store != nil && (erasure >= m.log.partitions[p].first || erasure <= applied.Offset && m.absent == fine)
}

// read reads a page forward and checks it.
func (m *model) read(r *modelReader, limit, size int) {
	b := m.before(r.user, r.p)
	f, err := m.service.Forward(context.Background(), []byte(r.user), r.p, r.after, limit, size)
	if err != nil {
		m.allowed(fmt.Sprintf("%s after %d", r.user, r.after), err, b)
		return
	}
	what := fmt.Sprintf("%s after %d (limit %d, %d bytes): %v up to %d, live %v, gone %d; before: %+v",
		r.user, r.after, limit, size, offsets(f.Entries), f.Examined, f.Live, f.Gone, b)
	after := r.after
	if f.Gone >= 0 {
		if f.Gone <= after || f.Gone > f.Examined {
			m.rt.Fatalf("%s: gone is out of place", what)
		}
		m.mayBeGone(what, r.p, after, f.Gone, b)
		after = f.Gone
	}
	m.check(what, r.user, "", after, f.Examined, b, f.Entries, nothing)
	switch n := len(f.Entries); {
	case n > limit:
		m.rt.Fatalf("%s: too many", what)
	case n > 1 && bytesOf(f.Entries[:n-1]) >= size:
		m.rt.Fatalf("%s: too many bytes", what)
	case f.Live && f.Examined < m.tails.Partition(r.p).End():
		m.rt.Fatalf("%s: not live", what)
	case f.Examined <= r.after && !f.Live:
		m.rt.Fatalf("%s: no progress", what)
	}
	r.after = f.Examined
	r.cursors = append(r.cursors, r.after)
}

func bytesOf(entries []history.Entry) (n int) {
	for i := range entries {
		n += len(entries[i].Value)
	}
	return n
}

// check compares entries with what the log has in (after, upto], apart from what may
// be missing. Only an erasure that the node has not seen and history has not applied may
// not work yet.
func (m *model) check(what, user, peer string, after, upto int64, b before, entries []history.Entry, missing func(int64) bool) {
	p := backplane.PartitionOf(user, 2)
	got := offsets(entries)
	for i, offset := range got {
		f := m.facts[p][offset]
		switch {
		case i > 0 && offset <= got[i-1]:
			m.rt.Fatalf("%s: %d is not in order", what, offset)
		case offset <= after || offset > upto:
			m.rt.Fatalf("%s: %d is out of bounds", what, offset)
		case f == nil || f.message == nil || f.message.Kind != backplane.KindMessage || !slices.Contains(f.users, user):
			m.rt.Fatalf("%s: %d is not the user's", what, offset)
		case f.original != nil && f.original.Offset >= m.log.partitions[p].first:
			m.rt.Fatalf("%s: %d is a duplicate of %d", what, offset, f.original.Offset)
		case f.message.Expired(f.Time, b.now):
			m.rt.Fatalf("%s: %d has expired", what, offset)
		case peer != "" && !f.concerns(user, peer):
			m.rt.Fatalf("%s: %d is of another conversation", what, offset)
		case offset <= b.erased:
			m.rt.Fatalf("%s: %d is erased by %d", what, offset, b.erased)
		case !bytes.Equal(entries[i].Value, f.Value) || entries[i].Time != f.Time || string(entries[i].User) != user:
			m.rt.Fatalf("%s: %d is not what it was", what, offset)
		}
	}
	for _, offset := range m.timeline(user, after, upto, peer) {
		if !slices.Contains(got, offset) && !missing(offset) {
			m.rt.Fatalf("%s: %d is missing", what, offset)
		}
	}
}

func nothing(int64) bool { return false }

// sure returns the first offset whose record, and all after it, the log can tell from
// duplicates: those of the first W of a log that was cut are not.
func (m *model) sure(p backplane.Partition) int64 {
	at := m.log.partitions[p]
	first, ok := at.at(at.first)
	if at.first == 0 || !ok {
		return at.first
	}
	sure := at.first
	for _, r := range at.records {
		if r.Offset >= at.first && r.Time < first.Time+windowMS {
			sure = r.Offset + 1
		}
	}
	return sure
}

// startOfLog is sure if log times did not go back.
func (m *model) startOfLog(p backplane.Partition) int64 {
	at := m.log.partitions[p]
	first, ok := at.at(at.first)
	if at.first == 0 || !ok {
		return at.first
	}
	return at.offsetAt(first.Time + windowMS)
}

// mayBeGone checks that neither the log nor the store nor the tail has all of
// (after, gone].
func (m *model) mayBeGone(what string, p backplane.Partition, after, gone int64, b before) {
	switch {
	case m.store != nil && (m.floor(p) > after || time.Since(m.reset) <= appliedAge):
	case after >= m.sure(p)-1:
		m.rt.Fatalf("%s: the log has it", what)
	case b.floor <= after:
		m.rt.Fatalf("%s: the tail has it", what)
	case b.applied.Offset >= gone && m.floor(p) <= after:
		m.rt.Fatalf("%s: the store has it", what)
	}
}

// floor returns the store's, at this moment.
func (m *model) floor(p backplane.Partition) int64 {
	if m.store == nil {
		return math.MaxInt64
	}
	return m.store.position(p).Floor
}

// allowed checks that an error is one that may come.
func (m *model) allowed(what string, err error, b before) {
	e, ok := errors.AsType[*Error](err)
	if ok {
		switch e.Code {
		case HistoryUnavailable:
			ok = m.absent != fine || errors.Is(err, errTakenBack) && time.Since(m.reset) <= appliedAge
		case LogUnavailable:
			ok = m.broken != fine
		case HistoryBehind:
			ok = m.broken != fine || b.lag > MinScanBytes/scans/2
		case NoHistory:
			ok = m.store == nil
		default:
			ok = false
		}
	}
	if !ok {
		m.rt.Fatalf("%s: %v; before: %+v", what, err, b)
	}
}

func (m *model) pages() {
	user := m.users[m.pick("user", 3)]
	p := backplane.PartitionOf(user, 2)
	peer := rapid.SampledFrom(append([]string{""}, m.users...)).Draw(m.rt, "peer")
	limit := rapid.SampledFrom([]int{1, 3, 100}).Draw(m.rt, "limit")
	at := rapid.Int64Range(0, m.log.partitions[p].end+1).Draw(m.rt, "at")
	kind := rapid.SampledFrom([]string{"newest", "before", "after", "around"}).Draw(m.rt, "page")
	ctx, u, with := context.Background(), []byte(user), []byte(peer)
	pause := appliedPause // history may have been asked for before it came on
	if time.Since(m.reset) < appliedAge {
		pause = appliedAge // or went back
	}
	time.Sleep(pause + 1)
	b := m.before(user, p)
	var page Page
	var err error
	switch kind {
	case "newest":
		page, err = m.service.Backward(ctx, u, p, math.MaxInt64, limit, with, 1<<20)
	case "before":
		page, err = m.service.Backward(ctx, u, p, at, limit, with, 1<<20)
	case "after":
		page, err = m.service.After(ctx, u, p, at-1, limit, with, 1<<20)
	case "around":
		page, err = m.service.Around(ctx, u, p, at, limit, with, 1<<20)
	}
	what := fmt.Sprintf("page %s %d of %s with %q (limit %d)", kind, at, user, peer, limit)
	if err != nil {
		m.allowed(what, err, b)
		return
	}
	what += fmt.Sprintf(": %v in [%d, %d], more %v %v, gone %d; before: %+v",
		offsets(page.Entries), page.Before, page.After, page.MoreBefore, page.MoreAfter, page.Gone, b)
	if n := len(page.Entries); n > limit {
		m.rt.Fatalf("%s: too many", what)
	}
	low, high := page.Before-1, page.After
	if kind == "newest" && page.MoreAfter {
		m.rt.Fatalf("%s: there is nothing newer", what)
	}
	if !page.MoreBefore {
		low = -1
	}
	if !page.MoreAfter {
		high = max(high, b.end)
	}
	m.check(what, user, peer, low, high, b, page.Entries, func(offset int64) bool { return offset <= page.Gone })
	switch floor := m.floor(p); {
	case page.Gone < 0 || page.Gone <= floor:
	case page.Gone > high || page.Gone <= b.applied.Offset || page.Gone >= m.sure(p):
		m.rt.Fatalf("%s: %d is not gone", what, page.Gone)
	}
}

func (m *model) resolve() {
	user := m.users[m.pick("user", 3)]
	p := backplane.PartitionOf(user, 2)
	after := rapid.Int64Range(-1, m.log.partitions[p].end+2).Draw(m.rt, "cursor")
	time.Sleep(boundsAge + 1) // the start of the log may have been asked for before it was cut
	b := m.before(user, p)
	r, err := m.service.Resolve(context.Background(), []byte(user), p, after)
	what := fmt.Sprintf("resolving %d of %s", after, user)
	if err != nil {
		m.allowed(what, err, b)
		return
	}
	what += fmt.Sprintf(": %+v; before: %+v", r, b)
	if r.Future != (after >= m.log.partitions[p].end) {
		m.rt.Fatalf("%s: the log ends at %d", what, m.log.partitions[p].end)
	}
	missed := m.timeline(user, after, b.end, "")
	if nothing := m.service.NothingMissed([]byte(user), p, after); (nothing || !r.Missed && !r.Future) && len(missed) > 0 {
		m.rt.Fatalf("%s: missed %v", what, missed)
	}
	if b.erased > b.applied.Offset || b.erased >= b.from {
		after = max(after, b.erased) // of others only the store knows
	}
	switch {
	case r.Gone >= 0:
		m.mayBeGone(what, p, after, r.Gone, b)
	case r.Future || b.floor <= after || m.startOfLog(p)-1 <= after && (b.applied.Floor <= after || m.absent != fine):
	case m.store != nil && b.applied.Floor <= after && b.applied.Offset >= min(b.floor, m.startOfLog(p)-1):
	default:
		m.rt.Fatalf("%s: nobody has it", what)
	}
}

// forgotten returns how many duplicates a user has after an offset that may be taken for
// messages, because the log had deleted what they are duplicates of.
func (m *model) forgotten(user string, after int64) (n int) {
	p := backplane.PartitionOf(user, 2)
	for offset, f := range m.facts[p] {
		if offset > after && f.original != nil && f.original.Offset < m.log.partitions[p].first && slices.Contains(f.users, user) {
			n++
		}
	}
	return n
}

func (m *model) last() {
	user := m.users[m.pick("user", 3)]
	p := backplane.PartitionOf(user, 2)
	n := rapid.SampledFrom([]int{1, 2, 10}).Draw(m.rt, "n")
	time.Sleep(appliedAge + 1)
	b := m.before(user, p)
	after, err := m.service.Last(context.Background(), []byte(user), p, n)
	what := fmt.Sprintf("the last %d of %s", n, user)
	if err != nil {
		m.allowed(what, err, b)
		return
	}
	what += fmt.Sprintf(": after %d; before: %+v", after, b)
	low := b.floor // without history
	if m.store != nil {
		low = m.floor(p)
	}
	low = max(low, m.erased(p, user, math.MaxInt64))
	have, all := m.timeline(user, after, b.end, ""), m.timeline(user, low, b.end, "")
	sure := m.sure(p)
	all = slices.DeleteFunc(all, func(offset int64) bool { return offset > b.applied.Offset && offset < sure })
	if len(have)+m.forgotten(user, after) < min(n, len(all)) {
		m.rt.Fatalf("%s: has %v, of %v", what, have, all)
	}
	if m.store != nil && b.applied.Offset >= b.floor && len(all) > n && len(have) > n && m.erased(p, user, math.MaxInt64) <= b.erased {
		m.rt.Fatalf("%s: has %v, of %v", what, have, all)
	}
}

// conclude mends everything, and then every reader gets to the end.
func (m *model) conclude() {
	m.log.set(fine, 0)
	m.broken, m.absent = fine, fine
	if m.store != nil {
		m.store.set(fine)
	}
	time.Sleep(2 * DefaultTimeout)
	m.settle()
	for _, r := range m.readers {
		r.after = r.cursors[0]
		for n := 0; ; n++ {
			b := m.before(r.user, r.p)
			m.read(r, 100, 1<<20)
			if r.after >= b.end {
				break
			}
			if n > 1000 {
				m.rt.Fatalf("%s does not come to the end", r.user)
			}
		}
	}
}
