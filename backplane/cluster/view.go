package cluster

import (
	"sync/atomic"

	"github.com/hashicorp/go-memdb"
)

// View is the sum of all records of the cluster's topic, with watches. One goroutine
// applies changes, all others read.
//
// What Snapshot returns is never behind what Get and List tell, and by the time a
// watch fires both are as new as the change that it fires for.
type View struct {
	// Static.
	db *memdb.MemDB

	// Atomic.
	snapshot atomic.Pointer[Snapshot]
}

const (
	table   = "records"
	byKey   = "id" // memdb asks for this name
	byStart = "id_prefix"
)

// NewView returns the view of an empty topic.
func NewView() *View {
	db, err := memdb.NewMemDB(&memdb.DBSchema{Tables: map[string]*memdb.TableSchema{
		table: {Name: table, Indexes: map[string]*memdb.IndexSchema{
			byKey: {Name: byKey, Unique: true, Indexer: &memdb.StringFieldIndex{Field: "Key"}},
		}},
	}})
	if err != nil {
		panic(err) // the schema is a constant
	}
	v := &View{db: db}
	v.snapshot.Store(new(Snapshot))
	return v
}

// Apply applies changes in their order, as one step: whoever reads sees all of them
// or none. Only one goroutine may call it.
func (v *View) Apply(changes ...Change) {
	if len(changes) == 0 {
		return
	}
	txn := v.db.Txn(true)
	defer txn.Abort() // does nothing after the commit
	for _, c := range changes {
		switch {
		case c.Key == "": // no record of ours has one, and no index takes it
		case c.Body != nil:
			must(txn.Insert(table, &c))
		default:
			if err := txn.Delete(table, &c); err != memdb.ErrNotFound {
				must(err)
			}
		}
	}
	// The commit swaps the root of the database, and then wakes the watchers: so they
	// find the new Snapshot, too.
	v.snapshot.Store(v.Snapshot().With(changes...))
	txn.Commit()
}

// must panics on what memdb says of a wrong schema or a wrong type.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// Snapshot returns the settings, nodes, partitions and controller. Any goroutine may
// call it; it costs one atomic load.
func (v *View) Snapshot() *Snapshot { return v.snapshot.Load() }

// Get returns what is under a key, and a channel that is closed when that may have
// changed. Any goroutine may call it.
func (v *View) Get(key string) (c Change, ok bool, changed <-chan struct{}) {
	txn := v.db.Txn(false)
	changed, row, err := txn.FirstWatch(table, byKey, key)
	must(err)
	if row == nil {
		return Change{Key: key}, false, changed
	}
	return *row.(*Change), true, changed
}

// List returns what is under the keys that begin with a prefix, in the order of the
// keys' bytes, and a channel that is closed when any of that may have changed. The
// empty prefix stands for all. Any goroutine may call it.
func (v *View) List(prefix string) (cs []Change, changed <-chan struct{}) {
	txn := v.db.Txn(false)
	rows, err := txn.Get(table, byStart, prefix)
	must(err)
	for row := rows.Next(); row != nil; row = rows.Next() {
		cs = append(cs, *row.(*Change))
	}
	return cs, rows.WatchCh()
}

// Changed returns a channel that is closed at the next change of a record whose key
// begins with a prefix, and now and then without one. To lose no change, take the
// channel first, read then, and wait on the channel last.
func (v *View) Changed(prefix string) <-chan struct{} {
	txn := v.db.Txn(false)
	rows, err := txn.Get(table, byStart, prefix)
	must(err)
	return rows.WatchCh()
}
