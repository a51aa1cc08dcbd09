#!/usr/bin/env bash
# The page's tests drive a real browser: Debian's Chromium, installed unless it is here. Run as root.
set -euo pipefail
command -v chromium >/dev/null && exit 0
echo "browser.sh: installing chromium"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
