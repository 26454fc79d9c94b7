// Package beats reads the heartbeats of a cluster and says who is there.
//
// Each node puts a Beat on the heartbeats topic every half second. A Watch takes the
// beats of all nodes in the order of the log and answers who is suspected of being
// dead, which process is the younger one of two under one name, who holds the
// controller's flag, and who has to take the controller's place. Degraded tells whether
// this node itself is cut off.
//
// All that it decides depends on the beats, their log times, and which nodes the records let
// in meanwhile (Watch.Expect), so nodes that have read the same come to the same conclusions
// as a rule, and no clock of a node takes part.
// What a node does about a suspicion is not decided here: see package control. A wrong
// suspicion moves clients; it loses nothing, because nothing on the message path is
// fenced.
//
// The package does no IO, starts no goroutine and reads no clock. A Watch belongs to one
// goroutine; the functions may be called from any.
package beats
