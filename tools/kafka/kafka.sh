#!/usr/bin/env bash
# Runs a node of Apache Kafka (KRaft, broker and controller in one process) for
# development and tests, without Docker. Not for production: a node by itself has
# one replica of everything, and the timeouts are short.
#
#   kafka.sh fetch    copy the jars into the cache folder, once
#   kafka.sh start    start a node in the background; returns when it serves
#   kafka.sh run      the same in the foreground, for a caller that owns the process
#   kafka.sh stop     stop the node that start began
#   kafka.sh status   say whether it runs
#   kafka.sh wipe     stop it and delete its data
#
# Settings, by environment:
#   KAFKA_PORT             the port that clients use (9092)
#   KAFKA_CONTROLLER_PORT  the controller's port (KAFKA_PORT + 1)
#   KAFKA_DATA             this node's folder (<cache>/kafka/<port>)
#   KAFKA_HEAP             the JVM's heap (512m)
#   KAFKA_VOTERS           the nodes of a cluster, each as ID@HOST:PORT of its controller,
#                          separated by commas; without it a node is by itself
#   KAFKA_NODE_ID          which of them this node is (1)
#   KAFKA_CLUSTER_ID       the id that they have in common (a random one)
#   KAFKA_WAYS             more ports that clients may use, each as PORT:TOLD with the port
#                          that those who do are told to connect to: of a proxy before it;
#                          separated by commas
#   GODWIT_CACHE           the cache folder (.cache in the repository)
#
# Every command may be repeated. Several nodes that know nothing of each other
# can run at once on different ports.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${GODWIT_CACHE:-$(cd "$here/../.." && pwd)/.cache}
libs=$cache/kafka-libs
port=${KAFKA_PORT:-9092}
controller=${KAFKA_CONTROLLER_PORT:-$((port + 1))}
data=${KAFKA_DATA:-$cache/kafka/$port}
heap=${KAFKA_HEAP:-512m}
voters=${KAFKA_VOTERS:-}
node=${KAFKA_NODE_ID:-1}
ways=${KAFKA_WAYS:-}
pidfile=$data/pid
log=$data/server.log

die() {
  echo "kafka.sh: $*" >&2
  exit 1
}

# need makes sure that a program is there: installs its Debian package when that
# is possible without asking, and says what to install when it is not.
need() {
  local program=$1 package=$2
  command -v "$program" >/dev/null && return
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    echo "kafka.sh: installing $package" >&2
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$package"; } >&2 ||
      die "$program is missing, and apt-get could not install $package"
    return
  fi
  die "$program is missing: install it (Debian and Ubuntu: apt-get install $package) and try again"
}

fetch() {
  [[ -e $libs/complete ]] && return
  mkdir -p "$cache"
  (
    flock 9 # another process may be fetching
    [[ -e $libs/complete ]] && exit 0
    need java openjdk-17-jre-headless
    need mvn maven
    rm -rf "$libs"
    mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$libs" >&2 ||
      die "maven could not fetch Kafka's jars"
    touch "$libs/complete"
  ) 9>"$cache/kafka-libs.lock"
}

# running prints the process id of the node in $data, if it is alive.
running() {
  local pid
  [[ -s $pidfile ]] || return 1
  pid=$(<"$pidfile")
  # A process id may have been given to another program since.
  [[ -r /proc/$pid/cmdline ]] && tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF "$data/server.properties" || return 1
  echo "$pid"
}

# prepare fetches the jars and formats the data folder on first use.
prepare() {
  fetch
  need java openjdk-17-jre-headless
  mkdir -p "$data"
  local quorum=controller.quorum.bootstrap.servers=127.0.0.1:$controller
  local format=(--standalone) replicas=1 insync=1
  if [[ -n $voters ]]; then
    local commas=${voters//[^,]/}
    quorum=controller.quorum.voters=$voters
    format=()
    replicas=$((${#commas} < 2 ? ${#commas} + 1 : 3))
    insync=$((replicas < 3 ? 1 : 2))
  fi
  local listen='' tell='' protocol='' way n=0
  for way in ${ways//,/ }; do
    n=$((n + 1))
    listen+=,WAY$n://127.0.0.1:${way%:*}
    tell+=,WAY$n://127.0.0.1:${way#*:}
    protocol+=,WAY$n:PLAINTEXT
  done
  # The controller lets a broker that was killed register again only when its old
  # session has run out: 3 seconds here, for tests that kill it, not the usual 9.
  # What it led goes to others after the same time.
  cat >"$data/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=$node
$quorum
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller$listen
advertised.listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller$tell
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT$protocol
log.dirs=$data/log
default.replication.factor=$replicas
min.insync.replicas=$insync
offsets.topic.replication.factor=$replicas
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=$replicas
transaction.state.log.min.isr=$insync
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=$replicas
share.coordinator.state.topic.min.isr=$insync
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
replica.lag.time.max.ms=3000
controller.quorum.request.timeout.ms=10000
PROPERTIES
  if [[ ! -e $data/log/meta.properties ]]; then
    local id=${KAFKA_CLUSTER_ID:-}
    [[ -n $id ]] || id=$(java -cp "$libs/*" kafka.tools.StorageTool random-uuid 2>/dev/null)
    java -cp "$libs/*" kafka.tools.StorageTool format -t "$id" -c "$data/server.properties" "${format[@]}" >"$data/format.log" 2>&1 || {
      cat "$data/format.log" >&2
      die "could not format $data/log"
    }
  fi
}

run() {
  prepare
  exec java "-Xmx$heap" -cp "$libs/*" kafka.Kafka "$data/server.properties"
}

start() {
  local pid
  if pid=$(running); then
    echo "kafka.sh: already running on 127.0.0.1:$port (process $pid)"
    return
  fi
  prepare
  : >"$log"
  setsid java "-Xmx$heap" -cp "$libs/*" kafka.Kafka "$data/server.properties" >>"$log" 2>&1 </dev/null &
  pid=$!
  echo "$pid" >"$pidfile"
  for ((i = 0; i < 600; i++)); do
    if grep -q "Kafka Server started" "$log"; then
      echo "kafka.sh: serving on 127.0.0.1:$port (process $pid)"
      return
    fi
    if ! kill -0 "$pid" 2>/dev/null; then
      tail -n 20 "$log" >&2
      rm -f "$pidfile"
      die "Kafka did not start; its log is $log"
    fi
    sleep 0.1
  done
  kill "$pid" 2>/dev/null || true
  die "Kafka did not start in 60 seconds; its log is $log"
}

stop() {
  local pid
  if ! pid=$(running); then
    rm -f "$pidfile"
    echo "kafka.sh: not running on port $port"
    return
  fi
  kill "$pid"
  for ((i = 0; i < 300; i++)); do
    if ! kill -0 "$pid" 2>/dev/null; then
      rm -f "$pidfile"
      echo "kafka.sh: stopped"
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
    echo "kafka.sh: running on 127.0.0.1:$port (process $pid)"
  else
    die "not running on port $port"
  fi
  ;;
wipe)
  stop
  rm -rf "$data"
  ;;
*) die "usage: kafka.sh fetch|start|run|stop|status|wipe" ;;
esac
