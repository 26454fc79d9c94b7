package nemesis

import (
	"context"
	"errors"
	"fmt"

	"github.com/godwit-im/godwit/tools/verify/proxy"
	"github.com/godwit-im/godwit/tools/verify/world"
)

// strand kills a process that was cut off for a moment, and then undoes what it was cut off
// by, even if the run ends meanwhile.
func (f *fault) strand(ctx context.Context, k kind, name string) (evidence string, err error) {
	cutOff := f.cutOffNode
	if k.part == aBroker {
		cutOff = f.cutOffBroker
	}
	by, undo, err := cutOff(ctx, name)
	defer func() { err = errors.Join(err, undo()) }()
	switch {
	case err != nil:
		return "", err
	case !sleep(ctx, stranded):
		return "", ctx.Err()
	}
	if evidence, err = f.world.Kill(name); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, %v after %s", evidence, stranded, by), nil
}

// cutOffNode takes Kafka from a node. It says what it has done, and undo undoes it.
func (f *fault) cutOffNode(_ context.Context, name string) (by string, undo func() error, err error) {
	undo = func() error { return f.world.Treat(name, world.KafkaWay, proxy.Treatment{}) }
	before, err := f.world.Counts(name, world.KafkaWay)
	if err != nil {
		return "", undo, err
	}
	if err := f.world.Treat(name, world.KafkaWay, proxy.Treatment{Mode: proxy.Cut}); err != nil {
		return "", undo, err
	}
	after, err := f.world.Counts(name, world.KafkaWay)
	if err != nil {
		return "", undo, err
	}
	if by = counted(cut, before, after); by == "" {
		return "", undo, fmt.Errorf("%s has no connection to Kafka that could be cut", name)
	}
	return by, undo, nil
}

// cutOffBroker pauses all other brokers.
func (f *fault) cutOffBroker(ctx context.Context, name string) (by string, undo func() error, err error) {
	var paused []string
	undo = func() error {
		var errs []error
		for _, other := range paused {
			errs = append(errs, f.world.Resume(other))
		}
		return errors.Join(errs...)
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	for _, other := range f.settings.Brokers {
		if other == name {
			continue
		}
		if _, err := f.world.Pause(ctx, other); err != nil {
			return "", undo, err
		}
		paused = append(paused, other)
	}
	return fmt.Sprintf("%d other brokers were paused", len(paused)), undo, nil
}
