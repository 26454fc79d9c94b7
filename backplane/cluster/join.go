package cluster

import "net/url"

// join lets a node into the cluster, or takes what has changed about one.
func (j judge) join(r Request) ([]Change, error) {
	n, err := j.node(r.Node)
	known := err == nil
	if !known {
		if refusal := err.(*Refusal); refusal.Code != CodeUnknownNode {
			return nil, err
		}
		if len(j.s.Nodes()) >= MaxNodes {
			return nil, refuse(CodeTooManyNodes, "The cluster has %d nodes: there may be at most %d.", len(j.s.Nodes()), MaxNodes)
		}
	}
	role := r.Role
	if role == "" {
		role = Active
	}
	weight := 1
	if r.Weight != nil {
		weight = *r.Weight
	}
	switch {
	case role != Active && role != Standby:
		return nil, refuse(CodeBadRole, "A node cannot join as %.80q.", role)
	case !validURL(r.URL, "ws", "wss"):
		return nil, refuse(CodeBadURL, "Clients cannot connect to %.80q.", redacted(r.URL))
	case !validURL(r.Admin, "http", "https"):
		return nil, refuse(CodeBadAdmin, "Operators cannot ask %.80q.", redacted(r.Admin))
	case r.Capacity <= 0 || r.Capacity > MaxCapacity:
		return nil, refuse(CodeBadCapacity, "The capacity is %d: it must be 1 to %d.", r.Capacity, MaxCapacity)
	case weight < 0 || weight > MaxWeight:
		return nil, refuse(CodeBadWeight, "The weight is %d: it must be 0 to %d.", weight, MaxWeight)
	}
	before := n
	if !known {
		n = Node{ID: r.Node, Weight: weight, State: Left}
	}
	n.URL, n.Admin, n.Capacity = r.URL, r.Admin, r.Capacity
	if n.State == Left || stopping(n) || n.Reason == ReasonEnded {
		n.State, n.Reason, n.Since = role, ReasonJoined, j.m.Now
		return []Change{Put(n)}, nil
	}
	if n.URL == before.URL && n.Admin == before.Admin && n.Capacity == before.Capacity {
		return nil, nil
	}
	return []Change{Put(n)}, nil
}

// validURL reports whether text is an absolute URL with one of two schemes that can be
// shown to anybody and that parameters can be added to.
func validURL(text, scheme, secure string) bool {
	if len(text) > MaxURL {
		return false
	}
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == scheme || u.Scheme == secure) && u.Hostname() != "" &&
		u.User == nil && u.RawQuery == "" && !u.ForceQuery && u.Fragment == ""
}

// redacted returns the text of a URL without a password that it may hold.
func redacted(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "(not a URL)"
	}
	return u.Redacted()
}
