#!/usr/bin/env bash
# Several runs of godwit verify, on every kind of cluster that it can make, each with a seed
# of its own, and a table of what came of them. It is "make verify".
#
#   suite.sh DURATION SEED FOLDER
#
# DURATION is that of the load of each run, to which each adds half a minute or more; SEED that
# of the first run. The reports go into FOLDER. The exit status is 1 if a promise was broken,
# 2 if there is a run that does not show enough to tell, and else 0.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

duration=$1 seed=$2 folder=$3
clusters=(
  "--nodes 3 --brokers 1 --history cassandra"
  "--nodes 3 --brokers 3 --history cassandra"
  "--nodes 1 --brokers 1 --history pebble"
  "--nodes 3 --brokers 3 --history none"
)

outcomes=(passed failed unknown)
table=() worst=0 interrupted=
trap 'interrupted=1' INT
for cluster in "${clusters[@]}"; do
  out=$folder/$seed
  began=$SECONDS
  # shellcheck disable=SC2086 # these are several words
  bin/godwit verify $cluster --users 100 --rate 200 --duration "$duration" --seed "$seed" --report "$out"
  status=$?
  table+=("$(printf '%-6s %-44s %-8s %4d s  %s' "$seed" "$cluster" "${outcomes[status]:-status $status}" $((SECONDS - began)) "$out/report.html")")
  ((status == 1 || (status != 0 && worst == 0))) && worst=$status
  [[ -n $interrupted ]] && break
  ((seed++))
done

echo
printf '%-6s %-44s %-8s %6s  %s\n' seed cluster outcome took report
printf '%s\n' "${table[@]}"
exit $worst
