#!/usr/bin/env bash
# Node.js with an independent WebSocket client, in the cache folder: node/node_modules.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

wanted=$setup/node
modules=$cache/node
stamp=$modules/complete # a copy of the lock file, written last

need node nodejs
cmp -s "$wanted/package-lock.json" "$stamp" && exit 0
need npm npm
rm -rf "$modules"
mkdir -p "$modules"
cp "$wanted/package.json" "$wanted/package-lock.json" "$modules/"
say "fetching the Node.js packages"
if ! (cd "$modules" && npm ci --silent --no-audit --no-fund) >"$cache/node.log" 2>&1 </dev/null; then
  tail -n 5 "$cache/node.log" >&2
  die "npm could not install what $wanted/package-lock.json lists (its output is in $cache/node.log)"
fi
cp "$wanted/package-lock.json" "$stamp"
