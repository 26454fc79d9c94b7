// Package bench measures godwit against floors: what no server can leave out.
//
// It has tests only. A benchmark starts the real binary as a child process, drives
// it from load processes (this test binary, run again, with package load in it),
// reads the server's CPU time and memory from /proc, and fails if one message was
// lost or doubled. Real Kafka is used wherever messages move; it is a process of
// its own, so the server's CPU time excludes it.
//
//	go test ./bench -run '^$' -bench .               # everything; make bench
//	go test ./bench -run '^$' -bench . -quick        # everything once, small; make bench-quick
//	go test ./bench -run '^$' -bench Million -conns 1000000 -timeout 3h   # make bench-million
//	go test ./bench -run '^$' -bench Fanout -count 5 # one of them, with its spread
//
// A run ends with a table of all metrics, their spread and their goals (package
// report); benchmarks that compare settings have a table of their own. A benchmark
// measures once for each -count; within it, floor and godwit take turns (-rounds) and
// medians are reported, so that both see the same machine. Compare ratios (x-...) and
// CPU time; wall time depends on what else runs. Other flags: -json FILE writes all
// values, -progress tells how a long benchmark goes.
//
// What devices have missed is measured by Resume (18,000 come back with their cursors at
// once) and CatchUp (one comes back for 20,000 messages, out of each place that may have
// them), histories by HistoryWrite and HistoryRead.
//
// What the death of a node does is measured by Failover (to 200 clients of package client)
// and ReconnectStorm (18,000 come to a node that has others).
//
// The floors and peers are in bench/peers, a module of its own, but for those of
// HistoryWrite: it is about packages and not about a node, so both it and its floors run in
// the benchmark's own process. Real Kafka is the one that GODWIT_KAFKA_BROKERS names, or
// one that tools/kafka/kafka.sh starts for each benchmark; real Cassandra is the one that
// GODWIT_CASSANDRA_HOSTS names, or one that tools/cassandra/cassandra.sh starts.
//
// It is not for checking that a change is no slower: nothing here fails because of
// a time. Benchmarks of single functions stand beside the code.
package bench
