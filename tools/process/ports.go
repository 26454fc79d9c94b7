package process

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
)

// Ports are taken from below those that the kernel gives to outgoing connections (on Linux
// from 32768): else one of these may have the port of a process that is to be started, or was
// killed and is started again.
const (
	firstPort = 12_000
	lastPort  = 31_999

	// portTries is how many are tried for one that is free.
	portTries = 1000
)

// Processes that choose ports at the same time go through them from places of their own, so
// that one seldom comes to a port that another has chosen and nobody listens on yet.
var (
	firstGiven = rand.Uint32N(lastPort - firstPort + 1)
	given      atomic.Uint32
)

// FreePorts returns ports of 127.0.0.1 that nobody listens on, each call others.
func FreePorts(n int) ([]int, error) {
	var ports []int
	for range portTries * n {
		if len(ports) == n {
			break
		}
		port := firstPort + int((firstGiven+given.Add(1))%(lastPort-firstPort+1))
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		defer l.Close() // when all are known, so that none is given twice
		ports = append(ports, port)
	}
	if len(ports) < n {
		return nil, errors.New("process: no free ports")
	}
	return ports, nil
}
