"""The tap as a tool of its own: in front of any PostgreSQL server that a developer names, listening on loopback."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TextIO

from lab.errors import BadInput, StoreUnwritable
from lab.wire.journal import Event, Record, describe, to_line
from lab.wire.rule import Rule
from lab.wire.tap import Tap

POSTGRES_PORT: Final = 5432


def run_tap(
    listen: str,
    upstream: str,
    journal_path: Path | None = None,
    rules: Sequence[Rule] = (),
    out: TextIO | None = None,
    *,
    stop: threading.Event | None = None,
) -> None:
    """Pass `listen` (HOST:PORT, loopback) on to `upstream` (HOST:PORT) until interrupted, or until `stop` is set.

    First says on one line what it will do, then prints the journal line by line as it grows. `out` is where to
    (default: standard output); `journal_path` takes the same as JSON lines, appended. Raises BadInput for an address
    that is none or is not on loopback, and StoreUnwritable when the journal, printed or filed, cannot be written any
    more.
    """
    host, port = loopback(listen)
    target = address(upstream, POSTGRES_PORT)
    ended = stop or threading.Event()
    announced = threading.Event()
    problems: list[OSError | ValueError] = []
    with _file(journal_path) as write, Tap() as tap:
        show = _printer(out, write)

        def sink(record: Record) -> None:
            announced.wait()  # a client that is quicker than the first line must not push ahead of it
            try:
                show(record)
            except (OSError, ValueError) as problem:  # a full disk, or a reader that has closed the pipe
                problems.append(problem)
                ended.set()

        opened = tap.open(target, port, rules, listen_host=host, sink=sink)
        try:
            print(announcement(f"{host}:{opened.port}", upstream, rules, journal_path), file=out, flush=True)
        finally:
            announced.set()
        with contextlib.suppress(KeyboardInterrupt):
            ended.wait()
    if problems:
        raise StoreUnwritable(f"the journal cannot be written: {problems[0]}", "give it a place that takes it")


def announcement(listen: str, upstream: str, rules: Sequence[Rule], journal_path: Path | None = None) -> str:
    """One line that says what the tap is about to do."""
    doing = f"will {', '.join(rule.says() for rule in rules)}" if rules else "will change nothing"
    kept = f", journal to {journal_path}" if journal_path else ""
    return f"tap: {listen} -> {upstream}, {doing}{kept}; Ctrl-C ends it"


def address(text: str, default_port: int | None = None) -> tuple[str, int]:
    """Read HOST:PORT or [HOST]:PORT; the port may be left out where there is a default. Raise BadInput for anything
    else.
    """
    host, colon, port = (
        text.rpartition(":") if text.rpartition("]")[2].startswith(":") or "]" not in text else (text, "", "")
    )
    if not colon and default_port is not None:
        host, port = text, str(default_port)
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise BadInput(f"{text!r} is not an address", "write HOST:PORT, for IPv6 [HOST]:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def loopback(text: str) -> tuple[str, int]:
    """Read an address to listen on. Raise BadInput when any address behind it is reachable from another machine."""
    host, port = address(text)
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError as problem:
        raise BadInput(f"no address for {host!r}: {problem}", "listen on 127.0.0.1:PORT") from None
    if not all(ipaddress.ip_address(each.partition("%")[0]).is_loopback for each in found):
        raise BadInput(
            f"{host} is not loopback: others could reach the database through it", "listen on 127.0.0.1:PORT"
        )
    return ("127.0.0.1" if "127.0.0.1" in found else found.pop()), port


def _printer(out: TextIO | None, write: Callable[[str], None]) -> Callable[[Record], None]:
    def sink(record: Record) -> None:
        write(to_line(record))
        print(describe(record), file=out, flush=True)
        if isinstance(record, Event) and record.detail == "upstream encrypted":
            print(
                f"c{record.connection}    connect with sslmode=disable: moments inside TLS cannot be seen",
                file=out,
                flush=True,
            )

    return sink


@contextlib.contextmanager
def _file(path: Path | None) -> Iterator[Callable[[str], None]]:
    if path is None:
        yield lambda _: None
        return
    try:
        file = path.open("a", encoding="utf-8", buffering=1)
    except OSError as problem:
        raise StoreUnwritable(f"the journal cannot be written: {problem}", "name a file in a writable folder") from None
    with file:
        yield lambda line: print(line, file=file)
