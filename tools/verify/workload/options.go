package workload

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
)

// Options say who takes part in a run and how to reach the cluster. All are needed but TLS.
type Options struct {
	Users   int     // 2 to maxUsers
	Devices int     // of each user, 1 to maxDevices
	Rate    float64 // messages a second that all devices together begin to send; retries come on top
	Seed    uint64

	// Prefix begins the names of all users: two runs on one cluster must not meet.
	Prefix string

	// URLs returns where to connect to begin with, ws or wss with the path. It is asked
	// anew for each attempt, by any goroutine.
	URLs func() []string

	// Token returns a token of a user that is good for some time. Any goroutine calls it.
	Token func(user string, ttl time.Duration) string

	// TLS is for URLs with wss. Nil trusts what the system trusts.
	TLS *tls.Config

	// Write takes an event that by has just seen or is about to cause. Any goroutine calls
	// it. It may take its time, which holds the device up, and must not keep the event.
	Write func(by string, e event.Event)
}

// validate says what is wrong with the options.
func (o *Options) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("workload: "+format, args...))
		}
	}
	check(o.Users >= 2 && o.Users <= maxUsers, "Users is %d: must be 2 to %d", o.Users, maxUsers)
	check(o.Devices >= 1 && o.Devices <= maxDevices, "Devices is %d: must be 1 to %d", o.Devices, maxDevices)
	check(o.Rate > 0 && !math.IsInf(o.Rate, 1), "Rate is %v: must be positive", o.Rate)
	check(len(o.Prefix) <= maxPrefix, "Prefix is %q: must have at most %d bytes", o.Prefix, maxPrefix)
	check(o.URLs != nil, "URLs is missing")
	check(o.Token != nil, "Token is missing")
	check(o.Write != nil, "Write is missing")
	return errors.Join(errs...)
}
