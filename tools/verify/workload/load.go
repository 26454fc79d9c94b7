package workload

import "context"

// Load is the users and devices of a run.
type Load struct{ o Options }

// New makes a load. It does nothing before Connect.
func New(o Options) (*Load, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	return &Load{o: o}, nil
}

// Connect begins to connect all devices, and returns when each is welcomed.
func (l *Load) Connect(ctx context.Context) error { return nil }

// Send begins to send, and to misbehave.
func (l *Load) Send() {}

// Steady ends the misbehaviour: whoever reads slowly or is away by choice is not any more.
func (l *Load) Steady() {}

// Reconnect returns when all devices are connected.
func (l *Load) Reconnect(ctx context.Context) error { return nil }

// Drain ends the sending, and returns when each send has its outcome.
func (l *Load) Drain(ctx context.Context) error { return nil }

// Settle returns when no device lacks an acknowledged message and nothing has come for a
// moment, or when ctx ends: what is missing then the checks will find.
func (l *Load) Settle(ctx context.Context) {}

// ReadHistory has one device of each user read the user's whole timeline.
func (l *Load) ReadHistory(ctx context.Context) error { return nil }

// Users returns the names of all users.
func (l *Load) Users() []string { return nil }

// Counts returns what has happened so far.
func (l *Load) Counts() Counts { return Counts{} }

// Close ends all connections, and returns when everything has ended.
func (l *Load) Close() {}
