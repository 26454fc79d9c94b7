# Functions of the setup scripts. To be sourced by them, not run.
#
# Every script here may be repeated, returns at once when there is nothing to
# do, and says in one line what it could not do. What they fetch goes into the
# cache folder, which git ignores.

set -euo pipefail

setup=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${GODWIT_CACHE:-$(cd "$setup/../.." && pwd)/.cache}
mkdir -p "$cache"

say() { echo "setup: $*" >&2; }

die() {
  say "$*"
  exit 1
}

# packages installs Debian packages when that can be done without asking, and
# says which are missing when it cannot.
packages() {
  if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    die "missing: $* (on Debian and Ubuntu: apt-get install $*)"
  fi
  say "installing $*"
  local log=$cache/apt.log
  if ! {
    apt-get update -q &&
      DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
  } >"$log" 2>&1 </dev/null; then
    tail -n 5 "$log" >&2
    die "apt-get could not install $* (its output is in $log)"
  fi
}

# need makes sure that a program is there, from a Debian package.
need() {
  local program=$1
  shift
  command -v "$program" >/dev/null || packages "$@"
}
