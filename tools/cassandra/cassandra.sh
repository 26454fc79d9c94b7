#!/usr/bin/env bash
# Runs one node of Apache Cassandra for development and tests, without Docker. Not
# for production: everything has one replica, and anyone on this machine may use it.
#
#   cassandra.sh fetch    copy the jars into the cache folder, once
#   cassandra.sh start    start a node in the background; returns when it serves
#   cassandra.sh run      the same in the foreground, for a caller that owns the process
#   cassandra.sh stop     stop the node that start began
#   cassandra.sh status   say whether it runs
#   cassandra.sh wipe     stop it and delete its data
#
# Settings, by environment:
#   CASSANDRA_PORT          the port that clients use (9042)
#   CASSANDRA_STORAGE_PORT  the port that nodes would use among themselves (CASSANDRA_PORT + 1)
#   CASSANDRA_DATA          this node's folder (<cache>/cassandra/<port>)
#   CASSANDRA_HEAP          the JVM's heap (1g)
#   GODWIT_CACHE            the cache folder (.cache in the repository)
#
# Every command may be repeated. Several nodes that know nothing of each other
# can run at once on different ports; JMX is off, so it needs none.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${GODWIT_CACHE:-$(cd "$here/../.." && pwd)/.cache}
libs=$cache/cassandra-libs
port=${CASSANDRA_PORT:-9042}
storage=${CASSANDRA_STORAGE_PORT:-$((port + 1))}
data=${CASSANDRA_DATA:-$cache/cassandra/$port}
heap=${CASSANDRA_HEAP:-1g}
pidfile=$data/pid
log=$data/server.log

die() {
  echo "cassandra.sh: $*" >&2
  exit 1
}

# need makes sure that a program is there: installs its Debian package when that
# is possible without asking, and says what to install when it is not.
need() {
  local program=$1 package=$2
  command -v "$program" >/dev/null && return
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    echo "cassandra.sh: installing $package" >&2
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$package"; } >&2 ||
      die "$program is missing, and apt-get could not install $package"
    return
  fi
  die "$program is missing: install it (Debian and Ubuntu: apt-get install $package) and try again"
}

# fetch copies the jars that pom.xml names and what they need, and makes sure that
# they are, to the byte, those that jars.sha256 lists: no other, and none fewer.
fetch() {
  cmp -s "$here/jars.sha256" "$libs/complete" && return
  mkdir -p "$cache"
  (
    flock 9 # another process may be fetching
    cmp -s "$here/jars.sha256" "$libs/complete" && exit 0
    need java openjdk-17-jre-headless
    need mvn maven
    rm -rf "$libs"
    mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$libs" >&2 ||
      die "maven could not fetch Cassandra's jars"
    (cd "$libs" && sha256sum -- *.jar | LC_ALL=C sort -k 2) >"$cache/cassandra-jars.sha256"
    diff "$here/jars.sha256" "$cache/cassandra-jars.sha256" >&2 ||
      die "the jars that maven fetched (>) are not those of jars.sha256 (<)"
    cp "$here/jars.sha256" "$libs/complete"
  ) 9>"$cache/cassandra-libs.lock"
}

# running prints the process id of the node in $data, if it is alive.
running() {
  local pid
  [[ -s $pidfile ]] || return 1
  pid=$(<"$pidfile")
  # A process id may have been given to another program since.
  [[ -r /proc/$pid/cmdline ]] && tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF "$data/cassandra.yaml" || return 1
  echo "$pid"
}

# What Cassandra reaches for inside the Java library: from its jvm17-server.options.
exports=(
  java.base/java.lang.ref java.base/java.lang.reflect java.base/jdk.internal.misc
  java.management.rmi/com.sun.jmx.remote.internal.rmi
  java.rmi/sun.rmi.registry java.rmi/sun.rmi.server java.rmi/sun.rmi.transport.tcp
  java.sql/java.sql jdk.unsupported/sun.misc
)
opens=(
  java.base/java.io java.base/java.lang java.base/java.lang.module java.base/java.nio
  java.base/java.util java.base/java.util.concurrent java.base/java.util.concurrent.atomic
  java.base/jdk.internal.loader java.base/jdk.internal.math java.base/jdk.internal.module
  java.base/jdk.internal.ref java.base/jdk.internal.reflect java.base/jdk.internal.util.jar
  java.base/sun.nio.ch jdk.management/com.sun.management.internal
)

# prepare fetches the jars, writes the configuration and sets the command.
prepare() {
  fetch
  need java openjdk-17-jre-headless
  mkdir -p "$data"
  # The caches and the commit log are small: many nodes may share a machine.
  cat >"$data/cassandra.yaml" <<YAML
cluster_name: godwit
num_tokens: 4
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: "127.0.0.1:$storage"
listen_address: 127.0.0.1
storage_port: $storage
rpc_address: 127.0.0.1
native_transport_port: $port
data_file_directories: ["$data/data"]
commitlog_directory: $data/commitlog
saved_caches_directory: $data/saved_caches
hints_directory: $data/hints
cdc_raw_directory: $data/cdc
commitlog_sync: periodic
commitlog_sync_period: 10000ms
commitlog_total_space: 512MiB
hinted_handoff_enabled: false
auto_snapshot: false
key_cache_size: 16MiB
file_cache_size: 32MiB
YAML
  command=(java "-Xmx$heap" "-XX:MaxDirectMemorySize=$heap" -XX:+ExitOnOutOfMemoryError)
  local package
  for package in "${exports[@]}"; do command+=(--add-exports "$package=ALL-UNNAMED"); done
  for package in "${opens[@]}"; do command+=(--add-opens "$package=ALL-UNNAMED"); done
  command+=(
    -Djdk.attach.allowAttachSelf=true
    "-Dlogback.configurationFile=file://$here/logback.xml"
    "-Dcassandra.config=file://$data/cassandra.yaml"
    "-Dcassandra.storagedir=$data"
    -Dcassandra-foreground=yes
    -Dcassandra.skip_wait_for_gossip_to_settle=0
    -Dcassandra.ring_delay_ms=100
    -cp "$libs/*" org.apache.cassandra.service.CassandraDaemon
  )
}

run() {
  prepare
  exec "${command[@]}"
}

start() {
  local pid
  if pid=$(running); then
    echo "cassandra.sh: already running on 127.0.0.1:$port (process $pid)"
    return
  fi
  prepare
  : >"$log"
  setsid "${command[@]}" >>"$log" 2>&1 </dev/null &
  pid=$!
  echo "$pid" >"$pidfile"
  for ((i = 0; i < 1200; i++)); do
    if grep -q "Startup complete" "$log"; then
      echo "cassandra.sh: serving on 127.0.0.1:$port (process $pid)"
      return
    fi
    if ! kill -0 "$pid" 2>/dev/null; then
      tail -n 20 "$log" >&2
      rm -f "$pidfile"
      die "Cassandra did not start; its log is $log"
    fi
    sleep 0.1
  done
  kill "$pid" 2>/dev/null || true
  die "Cassandra did not start in 2 minutes; its log is $log"
}

stop() {
  local pid
  if ! pid=$(running); then
    rm -f "$pidfile"
    echo "cassandra.sh: not running on port $port"
    return
  fi
  kill "$pid"
  for ((i = 0; i < 300; i++)); do
    if ! kill -0 "$pid" 2>/dev/null; then
      rm -f "$pidfile"
      echo "cassandra.sh: stopped"
      return
    fi
    sleep 0.1
  done
  die "process $pid does not stop within 30 seconds"
}

case "${1:-}" in
fetch) fetch ;;
run) run ;;
start) start ;;
stop) stop ;;
status)
  if pid=$(running); then
    echo "cassandra.sh: running on 127.0.0.1:$port (process $pid)"
  else
    die "not running on port $port"
  fi
  ;;
wipe)
  stop
  rm -rf "$data"
  ;;
*) die "usage: cassandra.sh fetch|start|run|stop|status|wipe" ;;
esac
