package nemesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
	"github.com/godwit-im/godwit/tools/verify/proxy"
	"github.com/godwit-im/godwit/tools/verify/world"
)

// process ends, strands or pauses a process, and has it back after the length of the step. It
// returns what is then known of it.
func (f *fault) process(ctx context.Context, k kind, name string) (end string, err error) {
	var evidence string
	switch k.deed {
	case kill:
		evidence, err = f.world.Kill(name)
	case pause:
		asking, cancel := context.WithTimeout(ctx, askTimeout)
		evidence, err = f.world.Pause(asking, name)
		cancel()
	case strand:
		evidence, err = f.strand(ctx, k, name)
	default:
		asking, cancel := context.WithTimeout(ctx, undoTimeout)
		evidence, err = f.world.Stop(asking, name)
		cancel()
	}
	if err != nil {
		return "", err
	}
	f.tell(event.Hit, "%s", evidence)
	lasts := sleep(ctx, f.step.Length)
	undoing, cancel := context.WithTimeout(ctx, undoTimeout)
	defer cancel()
	if k.deed == pause {
		// Even if the run ends here: a process that is paused does not end by itself.
		if err := f.world.Resume(name); err != nil {
			return "", err
		}
	}
	switch {
	case !lasts:
		return "", ctx.Err()
	case k.deed != pause:
		if err := f.world.Start(undoing, name); err != nil {
			return "", err
		}
	}
	return f.whole(undoing, name)
}

// whole returns when a process that runs has its part of the work again.
func (f *fault) whole(ctx context.Context, name string) (end string, err error) {
	if !slices.Contains(f.settings.Nodes, name) {
		return name + " runs", nil
	}
	return f.world.Activate(ctx, name)
}

// disk fills the disk of a node's history, and returns when it is written again. Half the
// time the node is killed meanwhile and begins to start, which it may not manage before there
// is room.
func (f *fault) disk(ctx context.Context, node string) (end string, err error) {
	// Even if the run ends here: others may want to read what is left.
	empty := sync.OnceValue(f.world.Empty)
	defer func() { err = errors.Join(err, empty()) }()
	filling, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	evidence, err := f.world.Fill(filling, node)
	if err != nil {
		return "", err
	}
	f.tell(event.Hit, "%s", evidence)
	if !sleep(ctx, f.step.Length/2) {
		return "", ctx.Err()
	}
	undoing, cancel := context.WithTimeout(ctx, undoTimeout)
	defer cancel()
	killed := ""
	started := make(chan error, 1)
	if f.step.Pick%2 == 0 {
		started <- nil
	} else {
		if killed, err = f.world.Kill(node); err != nil {
			return "", err
		}
		killed = "; meanwhile, " + killed
		go func() { started <- f.world.Start(undoing, node) }()
	}
	lasts := sleep(ctx, f.step.Length-f.step.Length/2)
	// What has begun ends here: with ctx, or because there is room.
	if err := errors.Join(empty(), <-started); err != nil {
		return "", err
	}
	if !lasts {
		return "", ctx.Err()
	}
	if _, err := f.world.Activate(undoing, node); err != nil {
		return "", err
	}
	end, err = f.world.Written(undoing, node)
	return end + killed, err
}

// link disturbs what a process says on one way. If nothing was said in the time that it should
// last, it waits somewhat longer for that.
func (f *fault) link(ctx context.Context, k kind, name string) (end string, err error) {
	before, err := f.world.Counts(name, k.way)
	if err != nil {
		return "", err
	}
	if err := f.world.Treat(name, k.way, treatment(k)); err != nil {
		return "", err
	}
	begun := time.Now()
	poll := time.NewTicker(hitPoll)
	defer poll.Stop()
	for hit, over := false, false; !over; {
		lasts := f.step.Length
		if !hit {
			lasts += idlePatience
		}
		select {
		case <-poll.C:
			over = time.Since(begun) >= lasts
		case <-ctx.Done():
			over = true
		}
		now, err := f.world.Counts(name, k.way)
		if err != nil {
			return "", err
		}
		if evidence := counted(k.deed, before, now); evidence != "" && !hit {
			hit = true
			f.tell(event.Hit, "%s: %s", name, evidence)
		}
	}
	// Even if the run ends here: others may want to read what is left.
	if err := f.world.Treat(name, k.way, proxy.Treatment{}); err != nil {
		return "", err
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	after, err := f.world.Counts(name, k.way)
	if err != nil {
		return "", err
	}
	undoing, cancel := context.WithTimeout(ctx, undoTimeout)
	defer cancel()
	end, err = f.whole(undoing, name)
	if evidence := counted(k.deed, before, after); evidence != "" {
		end += "; in all, " + evidence
	}
	return end, err
}

// treatment returns what is done to a link.
func treatment(k kind) proxy.Treatment {
	switch {
	case k.deed == cut:
		return proxy.Treatment{Mode: proxy.Cut}
	case k.deed == hang:
		return proxy.Treatment{Mode: proxy.Hang}
	case k.way == world.ClientsWay:
		return slowClient
	default:
		return slowKafka
	}
}

// counted says what was done to a link between two counts, "" if nothing was.
func counted(d deed, before, after proxy.Counts) string {
	switch d {
	case cut:
		if n, m := after.Reset-before.Reset, after.Refused-before.Refused; n+m > 0 {
			return fmt.Sprintf("%d connections reset, %d refused", n, m)
		}
	case hang:
		if n, m := after.HeldBytes-before.HeldBytes, after.HeldConns-before.HeldConns; n+m > 0 {
			return fmt.Sprintf("%d bytes and %d new connections held", n, m)
		}
	default:
		if n := after.SlowedBytes - before.SlowedBytes; n > 0 {
			return fmt.Sprintf("%d bytes slowed", n)
		}
	}
	return ""
}

// request asks the cluster, or Kafka, for something that no client may notice.
func (f *fault) request(ctx context.Context, k kind, name string) (end string, err error) {
	asking, cancel := context.WithTimeout(ctx, undoTimeout)
	defer cancel()
	var evidence string
	switch k.deed {
	case lead:
		evidence, err = f.world.Lead(asking, name, f.step.Pick)
	case move:
		evidence, err = f.world.Move(asking, name, f.step.Pick)
	default:
		evidence, err = f.world.Drain(asking, name)
	}
	if err != nil {
		return "", err
	}
	f.tell(event.Hit, "%s", evidence)
	if k.deed != drain {
		return name + " has them", nil
	}
	if !sleep(ctx, f.step.Length) {
		return "", ctx.Err()
	}
	undoing, cancel := context.WithTimeout(ctx, undoTimeout)
	defer cancel()
	return f.world.Activate(undoing, name)
}
