package load

import (
	"slices"

	"github.com/godwit-im/godwit/backplane"
)

// settle chooses the users by Config.Lives: the first names whose partition is one of those.
func (c *Config) settle() {
	c.numbers = nil
	if len(c.Lives) == 0 {
		return
	}
	c.numbers = make([]uint32, 0, c.Users)
	var name []byte
	for number := uint32(0); len(c.numbers) < c.Users; number++ {
		name = c.appendNumber(name[:0], number)
		if slices.Contains(c.Lives, backplane.PartitionOf(name, c.Partitions)) {
			c.numbers = append(c.numbers, number)
		}
	}
}

// number returns the number in the name of a user. Users beyond the last do not exist, and
// neither do their numbers.
func (c *Config) number(user uint32) uint32 {
	n := uint32(len(c.numbers))
	switch {
	case n == 0:
		return user
	case user < n:
		return c.numbers[user]
	}
	return c.numbers[n-1] + 1 + user - n
}
