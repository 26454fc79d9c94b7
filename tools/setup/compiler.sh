#!/usr/bin/env bash
# The C compiler that go test -race needs.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need gcc gcc libc6-dev
