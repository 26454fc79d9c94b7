// Package kafka tells how nodes of Apache Kafka are run by the script kafka.sh beside it,
// alone and in a cluster, for whoever owns their processes: tests, and commands that try
// things out.
//
// It starts nothing itself, and speaks to no Kafka. It is not for production: see the
// script.
//
// Any goroutine may call everything here.
package kafka
