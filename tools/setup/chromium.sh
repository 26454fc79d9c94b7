#!/usr/bin/env bash
# The browser that the tests of the browser client and of the pages drive.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need chromium chromium
