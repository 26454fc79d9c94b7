package pebble

import "github.com/cockroachdb/pebble/v2"

// comparer orders keys by their bytes, as Pebble does by itself, and tells what of a
// key is its prefix. Pebble keeps its name in the files, so that another database is
// known for what it is.
var comparer = func() *pebble.Comparer {
	c := *pebble.DefaultComparer
	c.Name = "godwit.history"
	c.Split = splitKey
	return &c
}()
