"""What the wire tap costs: the same work straight to a server and through the tap, in one run, as ratios.

    python benchmarks/tap_overhead.py [DSN]

Without a DSN an echo server in a process of its own stands for PostgreSQL, so that only the relay is measured; with one
(libpq's key=value form, host and port included) real queries are. Rounds of both kinds alternate, and medians are
compared, because the machine is shared.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import statistics
import struct
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from lab.wire.rule import Rule
from lab.wire.tap import Tap

ROUNDS = 7
TRIPS = 300
CONNECTS = 30
BULK = 16 << 20
REPLY = 1 << 16
STARTUP = struct.pack("!II", 8, 3 << 16)


def question(size: int) -> bytes:
    """A simple query that asks the echo server for so many bytes."""
    text = b"SELECT %d\0" % size
    return b"Q" + struct.pack("!I", 4 + len(text)) + text


def echo(listener: socket.socket) -> None:
    """Answer each question with DataRow messages of the size it asks for; forks are not needed for one client at a
    time.
    """
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=answer, args=(client,), daemon=True).start()


def answer(client: socket.socket) -> None:
    """Serve one client until it goes."""
    with closing(client):
        client.recv(len(STARTUP))
        while head := client.recv(5):
            size = int(client.recv(struct.unpack("!xI", head)[0] - 4)[7:-1])
            row = b"D" + struct.pack("!I", min(size, REPLY) - 1) + bytes(max(0, min(size, REPLY) - 5))
            for _ in range(max(1, size // REPLY)):
                client.sendall(row)


def ask(client: socket.socket, size: int) -> None:
    """Ask for so many bytes and read them all."""
    client.sendall(question(size))
    left = size
    while left > 0:
        left -= len(client.recv(min(left, 1 << 18)))


def connected(port: int) -> socket.socket:
    """A connection that has started up."""
    client = socket.create_connection(("127.0.0.1", port))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.sendall(STARTUP)
    return client


def sockets(port: int) -> dict[str, float]:
    """Seconds per round trip, per connect and per bulk transfer, over plain sockets."""
    with closing(connected(port)) as client:
        ask(client, 100)
        trips = timed(TRIPS, lambda: ask(client, 100))
        bulk = timed(1, lambda: ask(client, BULK))

    def connect() -> None:
        with closing(connected(port)) as client:
            ask(client, 100)

    return {"round trip of 100 B": trips, "connect + first answer": timed(CONNECTS, connect), f"{BULK >> 20} MiB": bulk}


def queries(dsn: str) -> dict[str, float]:
    """The same with a real server."""
    with psycopg.connect(dsn, autocommit=True) as client:
        trips = timed(TRIPS, lambda: client.execute("SELECT 1"))
        wide = timed(1, lambda: client.execute("SELECT repeat('x', 65536) FROM generate_series(1, 256)").fetchall())
        rows = timed(1, lambda: client.execute("SELECT n FROM generate_series(1, 50000) n").fetchall())
    return {
        "SELECT 1": trips,
        "connect + close": timed(CONNECTS, lambda: psycopg.connect(dsn).close()),
        "16 MiB in 256 rows": wide,
        "50,000 small rows": rows,
    }


def timed(times: int, do: Callable[[], object]) -> float:
    """Seconds for one of `times` repetitions."""
    began = time.perf_counter()
    for _ in range(times):
        do()
    return (time.perf_counter() - began) / times


def compare(kinds: dict[str, Callable[[], dict[str, float]]]) -> None:
    """Alternate the kinds and print the median of each against the first."""
    seen: dict[str, dict[str, list[float]]] = {}
    for _ in range(ROUNDS):
        for kind, run in kinds.items():
            for what, seconds in run().items():
                seen.setdefault(what, {}).setdefault(kind, []).append(seconds)
    for what, by_kind in seen.items():
        medians = {kind: statistics.median(times) for kind, times in by_kind.items()}
        first = next(iter(medians.values()))
        said = ", ".join(
            f"{kind} {seconds * 1e6:,.0f} us (x{seconds / first:.2f})" for kind, seconds in medians.items()
        )
        print(f"{what}: {said}")


def housekeeping(tap: Tap, upstream: tuple[str, int]) -> None:
    """What a line costs by itself."""
    opened = timed(500, lambda: tap.open(upstream, rules=[Rule.parse("commit-acked+0", "rst")]).close())
    print(f"open + close a line: {opened * 1e6:,.0f} us")


def busy_neighbour(port: int) -> None:
    """Round trips while another thread of this process computes: the price of living in one process."""
    stop = threading.Event()

    def compute() -> None:
        while not stop.is_set():
            sum(range(1000))

    with closing(connected(port)) as client:
        ask(client, 100)
        idle = timed(TRIPS, lambda: ask(client, 100))
        neighbour = threading.Thread(target=compute)
        neighbour.start()
        busy = timed(30, lambda: ask(client, 100))
        stop.set()
        neighbour.join()
    print(f"round trip with a computing thread in the same process: {busy * 1e6:,.0f} us (x{busy / idle:.1f})")


def main() -> None:
    """Measure and print."""
    dsn = sys.argv[1] if len(sys.argv) > 1 else ""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    upstream = listener.getsockname()
    server = multiprocessing.get_context("fork").Process(target=echo, args=(listener,), daemon=True)
    server.start()
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, {ROUNDS} rounds, medians")
    with Tap() as tap:
        quiet, armed = tap.open(upstream), tap.open(upstream, rules=[Rule.parse("commit-acked:999999999+0", "rst")])
        compare(
            {
                "direct": lambda: sockets(upstream[1]),
                "tap": lambda: sockets(quiet.port),
                "tap, armed": lambda: sockets(armed.port),
            }
        )
        housekeeping(tap, upstream)
        busy_neighbour(quiet.port)
        if dsn:
            parts = conninfo_to_dict(dsn)
            line = tap.open((str(parts["host"]), int(parts["port"] or 5432)))
            through = make_conninfo(dsn, host="127.0.0.1", port=line.port)
            compare({"direct": lambda: queries(dsn), "tap": lambda: queries(through)})
    server.terminate()
    server.join()


if __name__ == "__main__":
    main()
