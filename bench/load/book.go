package load

import (
	"sync/atomic"

	"github.com/godwit-im/godwit/backplane"
)

// book says what each user should have got in a run: how many messages, and the sum of
// their hashes. Every loop enters what was acknowledged; a connection that has the same
// number and the same sum has each message exactly once, but for an accident of one in
// 2^64. Messages whose outcome is not known may have arrived or not; only their number
// is kept.
type book struct {
	users   []account
	groups  []account  // of the shape Group, else nil
	groupOf []int32    // by user, -1 for none
	members [][]uint32 // by group
	home    []int32    // by group, its partition
}

// account has the messages to one user, or to all of a group.
type account struct {
	sum   atomic.Uint64
	count atomic.Uint32
	maybe atomic.Uint32 // messages with an unknown outcome
}

func (a *account) add(s stamp, known bool) {
	if !known {
		a.maybe.Add(1)
		return
	}
	a.sum.Add(s.hash())
	a.count.Add(1)
}

// newBook returns an empty book. fanout is the size of the groups, 0 for none.
func newBook(c *Config, fanout int) *book {
	b := &book{users: make([]account, c.Users)}
	if fanout == 0 {
		return b
	}
	b.groupOf = make([]int32, c.Users)
	partitions := make([][]uint32, c.Partitions)
	var name []byte
	for user := range uint32(c.Users) {
		name = c.appendUser(name[:0], user)
		p := backplane.PartitionOf(name, c.Partitions)
		partitions[p] = append(partitions[p], user)
		b.groupOf[user] = -1
	}
	for p, users := range partitions {
		if len(users) < 2 {
			continue // alone in its partition: nobody to send to
		}
		// As many groups as needed, of nearly the same size, so that none has a single
		// member.
		n := (len(users) + fanout - 1) / fanout
		for i := range n {
			members := users[i*len(users)/n : (i+1)*len(users)/n]
			if len(members) < 2 {
				continue // of three users, by twos
			}
			for _, user := range members {
				b.groupOf[user] = int32(len(b.members))
			}
			b.members = append(b.members, members)
			b.home = append(b.home, int32(p))
		}
	}
	b.groups = make([]account, len(b.members))
	return b
}

// enter notes a message that was acknowledged: its recipients should get it, and so
// should the sender, on all devices. known is false for one whose outcome is unknown.
func (b *book) enter(g *Generator, s stamp, target uint32, known bool) {
	if b.groups != nil {
		b.groups[target].add(s, known)
		return
	}
	if int(target) < len(b.users) {
		b.users[target].add(s, known)
	}
	if own := g.user(s.sender); own != target {
		b.users[own].add(s, known)
	}
}

// due returns what each connection of a user should have got, and how many it may have
// beside that.
func (b *book) due(user uint32) (count uint32, sum uint64, maybe uint32) {
	a := &b.users[user]
	count, sum, maybe = a.count.Load(), a.sum.Load(), a.maybe.Load()
	if b.groups != nil && b.groupOf[user] >= 0 {
		a = &b.groups[b.groupOf[user]]
		count, sum, maybe = count+a.count.Load(), sum+a.sum.Load(), maybe+a.maybe.Load()
	}
	return count, sum, maybe
}

// Check compares what the connections got in a run with what was acknowledged. It is
// right when nothing is on its way any more.
type Check struct {
	// Checked and Unchecked count the connections: those that were not open for the whole
	// run, did not read, or were told of a gap are not checked.
	Checked   int64 `json:"checked"`
	Unchecked int64 `json:"unchecked"`
	// Due is how many deliveries the checked ones should have, Lost how many of those are
	// missing, and Doubled how many came beyond.
	Due     int64 `json:"due"`
	Lost    int64 `json:"lost"`
	Doubled int64 `json:"doubled"`
	// Maybe is how many deliveries of messages with an unknown outcome there may be
	// beside those. A connection that has some is checked only for the number.
	Maybe int64 `json:"maybe"`
	// Wrong counts connections that got the right number of messages, but not the right
	// ones.
	Wrong int64 `json:"wrong"`
}

// Exact reports whether every checked connection got each message exactly once.
func (c *Check) Exact() bool { return c.Lost == 0 && c.Doubled == 0 && c.Wrong == 0 }

func (c *Check) add(o Check) {
	c.Checked += o.Checked
	c.Unchecked += o.Unchecked
	c.Due += o.Due
	c.Lost += o.Lost
	c.Doubled += o.Doubled
	c.Maybe += o.Maybe
	c.Wrong += o.Wrong
}

// check checks the connections of a loop.
func (l *loop) check(b *book) (total Check) {
	l.slots.each(func(c *conn) {
		if c.state != stateOpen || c.partial {
			total.Unchecked++
			return
		}
		total.Checked++
		count, sum, maybe := b.due(l.g.user(l.id(c)))
		total.Due += int64(count)
		total.Maybe += int64(maybe)
		switch {
		case c.count < count:
			total.Lost += int64(count - c.count)
		case c.count > count+maybe:
			total.Doubled += int64(c.count - count - maybe)
		case c.sum != sum && maybe == 0:
			total.Wrong++
		}
	})
	return total
}
