// Package timeline reads what a device has missed, and what it asks of the past,
// out of the three places that have it: the history store up to where it has come,
// the log from there on, and the tail of the partition's owner, which has the
// most recent records in memory.
//
// # The invariant
//
// Whoever calls Forward again and again, each time after the position that the call
// before examined up to, gets every message of the user's timeline after the first
// position, in the order of the log, each once, whatever the places do meanwhile: the
// tail gives up records, history falls behind or catches up, the node starts anew. What
// is left out is a duplicate, a signal, expired, erased, or told as gone. There is no
// fourth case: where a place cannot answer, the call returns a typed error, and what
// the caller has is still right.
//
// It holds because each place knows exactly a range of offsets (after, upto], and the
// next read begins where the last range ended:
//
//	store   (Applied.Floor, Applied.Offset]   as it was told at most a second before
//	window  (floor, end]                      of the log, read by one shared scan
//	tail    (floor, end]                      and what follows is delivered live
//
// Each of them applies the same rule for duplicates to the same records, and has read
// enough before its range to know it (backplane.Rewind). So it does not matter which
// place answers, or how often a reader changes between them. A range is known
// under the lock under which it was read; nothing is inferred from an earlier look.
//
// A store may be trimmed while it is read. So its floor is asked for again after each
// read, one question for all who read at the time, and what stands at or below it
// counts for nothing.
//
// # The window
//
// While history lags, and on a node without history, what lies below the tail has to
// be read from the log, where the records of all users of a partition lie side by
// side. So there is one scan for all who wait: it fills a window, a stretch of the
// partition in memory, out of which each reader takes its own. The window moves up as its
// readers come to its end, giving up what is behind; who finds it gone ahead
// waits until nobody waits at its end, and then it starts again at the lowest position
// that is wanted. So everybody's turn comes, and nobody's comes at the expense of
// the others' again and again. limits.go has the bounds.
//
// # Erasures
//
// An erasure hides what precedes it from everybody as soon as the owner's tail has seen
// it, and from then on for good. Three know of erasures, each of a range as well: the store of
// those that it has applied, the tail of those since it began, and, if history was further
// behind than that when the tail began, a look through the log for what lies between the two.
// It is made when somebody first reads below the tail; until it has come to its end, such
// reads fail with HistoryBehind. What the log has at or below the store's floor is
// told as gone, for nobody but the store knows what of it was erased.
//
// A node without history makes no such look, and does not take erasures.
//
// # Who may call what
//
// All methods of Service may be called from any goroutine. All but NothingMissed block
// for up to Config.Timeout, so event loops leave them to a pool of goroutines,
// which also bounds how many reads there are at a time. A Service has a
// goroutine for each window, and one for each question to the log or the store
// that several readers share; all of them have ended when Close returns.
//
// It is not for delivery, for sending, or for writing history.
package timeline
