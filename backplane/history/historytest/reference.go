package historytest

import (
	"math"

	"github.com/godwit-im/godwit/backplane/history"
)

// endless is the offset before which everything is.
const endless = math.MaxInt64

// reference is what a store of one partition should hold, kept as plainly as possible.
type reference struct {
	entries  []history.Entry // in the order of their offsets
	erasures []history.Erasure
}

// hidden reports whether an entry is not to be read.
func (r *reference) hidden(e *history.Entry, now int64) bool {
	for _, x := range r.erasures {
		if string(x.User) == string(e.User) && e.Offset <= x.Offset {
			return true
		}
	}
	return e.Expires != 0 && now >= e.Expires
}

// read answers a query. more reports whether an entry was left out because the page
// was full.
func (r *reference) read(q *history.Query) (entries []history.Entry, full, more bool) {
	bytes := 0
	for i := range r.entries {
		e := &r.entries[i]
		if q.Backward {
			e = &r.entries[len(r.entries)-1-i]
		}
		if string(e.User) != string(q.User) || e.Offset <= q.After || e.Offset >= q.Before || r.hidden(e, q.Now) {
			continue
		}
		with := len(q.Peer) == 0
		for _, p := range e.Peers {
			with = with || string(p) == string(q.Peer)
		}
		if !with {
			continue
		}
		if full {
			return entries, true, true
		}
		entries = append(entries, *e)
		bytes += len(e.Value)
		full = len(entries) >= q.Limit || bytes >= q.Bytes
	}
	return entries, full, false
}

// compare checks a page that a store read.
func (r *reference) compare(t tb, q *history.Query, got history.Page) {
	t.Helper()
	want, full, more := r.read(q)
	if len(got.Entries) != len(want) {
		t.Fatalf("%+v: %d entries, want %d: %v", q, len(got.Entries), len(want), offsetsOf(got))
	}
	for i := range want {
		if err := same(&got.Entries[i], &want[i]); err != nil {
			t.Fatalf("%+v: entry %d: %v", q, i, err)
		}
	}
	if more && !got.More {
		t.Fatalf("%+v: the page does not say that there is more", q)
	}
	if !full && got.More {
		t.Fatalf("%+v: a page that is not full says that there is more", q)
	}
}
