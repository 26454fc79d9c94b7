#!/usr/bin/env bash
# A Python with an independent WebSocket client, in the cache folder: venv/bin/python.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

venv=$cache/venv
wanted=$setup/python/requirements.txt
stamp=$venv/requirements.txt # a copy, written last

cmp -s "$wanted" "$stamp" && exit 0
need python3 python3 python3-venv
python3 -c 'import ensurepip' 2>/dev/null || packages python3-venv
rm -rf "$venv"
say "fetching the Python packages"
if ! { python3 -m venv "$venv" && "$venv/bin/python" -m pip install -q -r "$wanted"; } >"$cache/python.log" 2>&1; then
  tail -n 5 "$cache/python.log" >&2
  die "pip could not install what $wanted lists (its output is in $cache/python.log)"
fi
cp "$wanted" "$stamp"
