#!/usr/bin/env bash
# Everything that the tests use besides Go. What cannot be had is named; the tests
# that need it skip themselves then, unless GODWIT_REQUIRE_SERVICES=1: then this
# fails, and so would they.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

exec 9>"$cache/setup.lock"
flock 9

missing=()
bash "$setup/compiler.sh" || missing+=("a C compiler")
bash "$setup/../kafka/kafka.sh" fetch || missing+=("Apache Kafka")
bash "$setup/../cassandra/cassandra.sh" fetch || missing+=("Apache Cassandra")
bash "$setup/chromium.sh" || missing+=("Chromium")
bash "$setup/python.sh" || missing+=("Python with a WebSocket client")
bash "$setup/node.sh" || missing+=("Node.js with a WebSocket client")

((${#missing[@]} == 0)) && exit 0
list=$(printf ', %s' "${missing[@]}")
if [[ ${GODWIT_REQUIRE_SERVICES:-} == 1 ]]; then
  die "cannot go on without: ${list#, } (GODWIT_REQUIRE_SERVICES is 1)"
fi
say "tests will be skipped that need: ${list#, }"
