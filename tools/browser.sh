#!/bin/sh
# A browser for `pytest -m browser`: Chromium from Debian's packages where there is none (needs root), and what drives it
# from npm, by a lock file. Half a minute on a fresh machine, at once when all is there.
set -eu
cd "$(dirname "$0")/browser"
if [ -z "${LAB_CHROMIUM:-}" ] && ! command -v chromium >/dev/null; then
    apt-get update --quiet=2
    DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --no-install-recommends chromium fonts-dejavu-core nodejs npm
fi
[ -d node_modules/playwright-core ] || npm ci --no-audit --no-fund --silent
echo "browser: $(command -v "${LAB_CHROMIUM:-chromium}"), node $(node --version)"
