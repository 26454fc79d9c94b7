package timeline

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
	"github.com/godwit-im/godwit/server/tail"
)

const (
	generation = 7
	windowMS   = int64(backplane.DuplicateWindow / time.Millisecond)
)

// world is a node with its log and its history, moved by hand. Except for reads, one
// goroutine drives it.
type world struct {
	n       int32
	log     *memoryLog
	store   *memoryStore // nil without history
	budget  int64        // of the tails
	scans   int64        // Config.ScanBytes
	tails   *tail.Tails
	service *Service
	feeds   []feed // of the tails, by partition

	writer  *history.Writer
	handler backplane.Handler
	written []feed // of the writer

	messages uint64
	facts    []map[int64]*fact // by partition and offset: what the log ever had
	seen     []map[backplane.MessageID][]*fact
}

// feed is how far somebody has read a partition.
type feed struct {
	next int64
	time int64
	seen *backplane.Dedupe
	from int64 // where it began
}

// fact is a record as the rules see it.
type fact struct {
	backplane.Record
	message *backplane.Message // nil if it is junk
	users   []string
	// original is the last record of which this is a duplicate; nil if there is none.
	original *fact
}

func newWorld(n int32, withStore bool, budget, scans int64) *world {
	w := &world{n: n, log: newMemoryLog(n), budget: budget, scans: scans}
	for range n {
		w.facts = append(w.facts, make(map[int64]*fact))
		w.seen = append(w.seen, make(map[backplane.MessageID][]*fact))
	}
	if withStore {
		w.store = newMemoryStore()
		w.startHistory()
	}
	return w
}

// user returns the i-th user that lives in a partition.
func (w *world) user(p backplane.Partition, i int) string {
	for n := 0; ; n++ {
		u := fmt.Sprint("user", n)
		if backplane.PartitionOf(u, w.n) == p {
			if i == 0 {
				return u
			}
			i--
		}
	}
}

// start starts the node, anew if it runs. What it had in memory is gone.
func (w *world) start() {
	w.stop()
	w.tails = tail.NewTails(generation, w.n, 1, w.budget)
	w.feeds = make([]feed, w.n)
	since := time.Now().UnixMilli() - backplane.Rewind.Milliseconds()
	for p := range w.feeds {
		offset, since := w.log.partitions[p].offsetAt(since), since
		if r, ok := w.log.partitions[p].at(offset); ok && offset == w.log.partitions[p].first && offset > 0 {
			since = max(since, r.Time) // duplicates of what was deleted are not known
		}
		w.tails.Worker(0).Begin(backplane.Partition(p), offset, since)
		w.feeds[p] = feed{next: offset, seen: backplane.NewDedupe(), from: offset}
	}
	cfg := Config{
		Generation: generation, N: w.n, Tails: w.tails, Reader: w.log, ScanBytes: w.scans,
		Timeout: DefaultTimeout, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
	if w.store != nil {
		cfg.Store = w.store
	}
	var err error
	if w.service, err = New(cfg); err != nil {
		panic(err)
	}
}

func (w *world) stop() {
	if w.service != nil {
		w.service.Close()
		w.service = nil
	}
}

// close ends everything.
func (w *world) close() {
	w.stop()
	if w.writer != nil {
		w.writer.Close(context.Background())
	}
}

// startHistory starts a writer of history, as another process would that takes over.
func (w *world) startHistory() {
	if w.writer != nil {
		w.writer.Close(context.Background())
	}
	var err error
	w.writer, err = history.NewWriter(history.Config{
		Store: w.store, Generation: generation, N: w.n, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	w.handler = w.writer.Handler(0)
	w.written = make([]feed, w.n)
	for p := range w.written {
		since, err := w.writer.Start(backplane.Partition(p))
		if err != nil {
			panic(err)
		}
		offset := w.log.partitions[p].offsetAt(since)
		w.handler.Begin(backplane.Partition(p), offset, since)
		w.written[p] = feed{next: offset, from: offset}
	}
}

// junk appends a record that is no message.
func (w *world) junk(p backplane.Partition, list bool) {
	r := backplane.Record{Position: backplane.Position{Generation: generation, Partition: p}, Time: time.Now().UnixMilli()}
	r.Recipients = backplane.AppendRecipient(nil, []byte(w.user(p, 0)))
	r.Value = []byte("junk")
	if !list {
		w.messages++
		m := &backplane.Message{From: []byte("x"), ID: []byte("x")}
		binary.BigEndian.PutUint64(m.MessageID[:], w.messages)
		r.Value = backplane.AppendMessage(nil, m)
		r.Recipients = append(r.Recipients, 200)
	}
	w.facts[p][w.log.add(r)] = &fact{Record: r}
}

// message returns a new message.
func (w *world) message(from string, kind backplane.Kind, ttl int64, body int, to ...string) *backplane.Message {
	w.messages++
	m := &backplane.Message{From: []byte(from), ID: []byte("id"), Kind: kind, TTL: ttl, Body: make([]byte, body)}
	binary.BigEndian.PutUint64(m.MessageID[:], w.messages)
	for _, u := range to {
		m.To = append(m.To, []byte(u))
	}
	return m
}

// send appends a message to the log, a record for each of its partitions for which only is
// true, with log times that lie back by so many milliseconds.
func (w *world) send(m *backplane.Message, back int64, only func(p backplane.Partition) bool) {
	users := []string{string(m.From)}
	for _, to := range m.To {
		if !slices.Contains(users, string(to)) {
			users = append(users, string(to))
		}
	}
	for p := range backplane.Partition(w.n) {
		f := &fact{message: m}
		f.Generation, f.Partition = generation, p
		f.Time, f.Value = time.Now().UnixMilli()-back, backplane.AppendMessage(nil, m)
		for _, u := range users {
			if backplane.PartitionOf(u, w.n) == p {
				f.users = append(f.users, u)
				f.Recipients = backplane.AppendRecipient(f.Recipients, []byte(u))
			}
		}
		if len(f.users) == 0 || !only(p) {
			continue
		}
		for _, earlier := range w.seen[p][m.MessageID] {
			if f.Time-earlier.Time <= windowMS {
				f.original = earlier
			}
		}
		f.Offset = w.log.add(f.Record)
		w.facts[p][f.Offset] = f
		w.seen[p][m.MessageID] = append(w.seen[p][m.MessageID], f)
	}
}

func everywhere(backplane.Partition) bool { return true }

// say sends an ordinary message at this moment.
func (w *world) say(from, to string) {
	w.send(w.message(from, backplane.KindMessage, 0, 10, to), 0, everywhere)
}

// consume lets the node's dispatcher take up to n records of a partition.
func (w *world) consume(p backplane.Partition, n int) {
	f, worker := &w.feeds[p], w.tails.Worker(0)
	for ; n > 0; n-- {
		r, ok := w.log.partitions[p].at(f.next)
		if !ok {
			return
		}
		f.next = r.Offset + 1
		var m backplane.Message
		id, err := backplane.ParseMessageID(r.Value)
		if err != nil || f.seen.Seen(id, r.Time) || !listed(r.Recipients) || backplane.ParseMessage(r.Value, &m) != nil {
			worker.Pass(&r)
			continue
		}
		switch m.Kind {
		case backplane.KindMessage:
			worker.Append(&r, &m)
		case backplane.KindErase:
			worker.Erase(&r, &m)
		default:
			worker.Pass(&r)
		}
	}
}

// apply lets history take up to n records of a partition.
func (w *world) apply(p backplane.Partition, n int) {
	f, at := &w.written[p], w.log.partitions[p]
	if f.next < at.first {
		w.handler.Begin(p, at.first, f.time)
		f.next = at.first
	}
	for ; n > 0; n-- {
		r, ok := at.at(f.next)
		if !ok {
			break
		}
		w.handler.Record(&r)
		f.next, f.time = r.Offset+1, r.Time
	}
	w.handler.Tick()
}

// settle lets the node and history take all there is.
func (w *world) settle() {
	for p := range backplane.Partition(w.n) {
		w.consume(p, 1<<30)
		if w.store != nil {
			w.apply(p, 1<<30)
		}
	}
}

// erased returns the last erasure of a user at or before an offset.
func (w *world) erased(p backplane.Partition, user string, upto int64) int64 {
	last := int64(-1)
	for offset, f := range w.facts[p] {
		if f.message != nil && f.message.Kind == backplane.KindErase && string(f.message.From) == user && offset <= upto {
			last = max(last, offset)
		}
	}
	return last
}

// shown returns whether a record is a message in a user's timeline at a time, if nothing
// is erased.
func (f *fact) shown(user string, now int64) bool {
	return f.message != nil && f.original == nil && f.message.Kind == backplane.KindMessage &&
		slices.Contains(f.users, user) && !f.message.Expired(f.Time, now)
}

// timeline returns the offsets of a user's messages in (after, upto], leaving out what is
// erased, in order.
func (w *world) timeline(user string, after, upto int64, peer string) []int64 {
	p := backplane.PartitionOf(user, w.n)
	after = max(after, w.erased(p, user, 1<<62))
	now := time.Now().UnixMilli()
	offsets := []int64{}
	for offset, f := range w.facts[p] {
		if offset > after && offset <= upto && f.shown(user, now) && (peer == "" || f.concerns(user, peer)) {
			offsets = append(offsets, offset)
		}
	}
	slices.Sort(offsets)
	return offsets
}

func (f *fact) concerns(user, peer string) bool {
	if string(f.message.From) != user {
		return string(f.message.From) == peer
	}
	return slices.ContainsFunc(f.message.To, func(to []byte) bool { return string(to) == peer })
}

func offsets(entries []history.Entry) []int64 {
	list := []int64{}
	for i := range entries {
		list = append(list, entries[i].Offset)
	}
	return list
}
