#!/bin/sh
# A browser for `pytest -m browser`: Chromium from Debian's packages where there is none (needs root), and what drives it
# from npm, by a lock file. Half a minute on a fresh machine, at once when all is there.
#
#   tools/browser.sh [SECONDS]   how long each of its two downloads may take; default 120
#
# Status 1 and one line where the machine cannot have one: the tests are skipped then, and say so.
set -eu
cd "$(dirname "$0")/browser"
seconds=${1:-120}

none() { echo "browser: none, the tests marked browser are skipped: $*" >&2; exit 1; }
within() { timeout --kill-after=5 "$seconds" "$@" </dev/null >/dev/null 2>&1; }
found() { # the names under which Debian, Ubuntu and CI's runners have it
    for name in "${LAB_CHROMIUM:-chromium}" chromium-browser google-chrome; do
        command -v "$name" && return
    done
    return 1
}

browser=$(found) || {
    within apt-get update --quiet=2 &&
        within env DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --no-install-recommends chromium fonts-dejavu-core
    browser=$(found) || none "no chromium on PATH, and apt-get could not install it within $seconds s"
}
node=$(node --version 2>/dev/null) || none "no node on PATH"
major=${node#v}
[ "${major%%.*}" -ge 20 ] || none "playwright-core needs node 20 or newer, this is $node"
[ -d node_modules/playwright-core ] || within npm ci --no-audit --no-fund --fetch-retries=1 || {
    rm -rf node_modules
    none "npm could not install tools/browser/package-lock.json within $seconds s"
}
echo "browser: $browser, node $node"
