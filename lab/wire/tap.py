"""The wire tap: one thread with an event loop, and any number of ports that lead through it.

    with Tap() as tap:
        tapped = tap.open(("127.0.0.1", 5432), rules=[Rule.parse("commit-acked+0", "rst")])
        ...  # let a client connect to 127.0.0.1:tapped.port
        tapped.wait(lambda record: isinstance(record, Act), 5.0)
        tapped.close()

All methods are for synchronous code in any other thread and return when the thing is done.

The thread shares Python's lock with the process. A process that waits (the lab for its subject) costs the relay
nothing; one that computes adds up to 10 ms to each round trip (benchmarks/tap_overhead.py prints it); and a client *in
the same process* that waits in C with the lock held (psycopg2's `cancel`) waits for ever. Clients belong in processes
of their own.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import Final, TypeVar

from lab.errors import BadInput, LabError
from lab.records.words import DEFAULT_DELAY_MS, Sides, Way
from lab.wire.arming import Arming
from lab.wire.journal import Act, Journal, Record
from lab.wire.link import Flow, Hangups, Relay, address_text
from lab.wire.rule import Rule

T = TypeVar("T")
Address = tuple[str, int]
Upstream = Address | str
"""A server: HOST and port, or the path of its unix socket."""

ANSWERS_WITHIN: Final = 10.0
"""Seconds that the tap's thread may take to answer a call; it takes less than a millisecond unless the lab itself is
stuck.
"""

_BACKLOG: Final = (
    512  # connections that may wait for one turn of the loop; beyond it Linux drops the SYN: a second late
)
_BREATHER: Final = 0.05  # seconds without accepting, when the process has no descriptor left


class TapPort:
    """A listening port of the tap, everything that connects to it, and their journal. Made by `Tap.open`."""

    def __init__(
        self, tap: Tap, upstream: Upstream, listener: socket.socket, sink: Callable[[Record], None] | None
    ) -> None:
        self.host, self.port = listener.getsockname()[:2]
        self.upstream = upstream
        self._tap = tap
        self._listener: socket.socket | None = listener
        self._held: socket.socket | None = None
        """Keeps the port while nobody is let in: another program's connection would else take it as its own."""
        self._family, self._target = _resolve(upstream)
        self._journal = Journal(sink)
        self._arming = Arming()
        self._relays: dict[int, Relay] = {}
        self._accepted = 0
        self._closed = False

    # -- for the lab

    @property
    def journal(self) -> list[Record]:
        """All records so far, oldest first; the list is a copy, readable after `close` too.

        All that a peer has already seen of the tap's acts is in it: the copy is made between two turns of the tap's
        loop.
        """
        return self._journal.snapshot() if self._closed else self._tap.call(self._journal.snapshot)

    @property
    def accepted(self) -> int:
        """How many connections it has taken so far."""
        return self._accepted

    @property
    def landed(self) -> list[Act]:
        """The acts so far: empty means that no fault of this port has landed."""
        return [record for record in self.journal if isinstance(record, Act)]

    def arm(self, rule: Rule) -> None:
        """Add a rule. Occurrences are counted from now; a message that has begun to pass is not found any more."""
        self._tap.call(lambda: self._arm(rule))

    def prepare(self, rule: Rule) -> None:
        """Arm a rule before a client can connect; for the tap."""
        self._arming.add(rule)

    def disarm(self) -> None:
        """Forget all rules and let go what was held for them; stalls stay."""
        self._tap.call(self._disarm)

    def act(
        self, way: Way, connection: int | None = None, sides: Sides = "both", *, delay_ms: int = DEFAULT_DELAY_MS
    ) -> int:
        """Act now on the live connections, or on one by its ordinal; return how many were hit."""

        def do() -> int:
            relays = self._chosen(connection)
            for relay in relays:
                relay.act(way, sides, delay_ms=delay_ms)
            return len(relays)

        return self._tap.call(do)

    def resume(self, connection: int | None = None) -> None:
        """End every stall, of all connections or of one; what was held passes now."""

        def do() -> None:
            for relay in self._chosen(connection):
                relay.resume()

        self._tap.call(do)

    def refuse(self) -> None:
        """Stop listening: the kernel refuses new connections from now on. Live connections stay; the port is kept."""

        def do() -> None:
            if self._listener is not None:
                self._stop_listening()
                with suppress(BadInput):  # another program's connection has taken it at this very moment
                    self._held = _bound(self.host, self.port)

        self._tap.call(do)

    def admit(self) -> None:
        """Listen again on the same port, after `refuse`."""

        def do() -> None:
            if self._listener is None and not self._closed:
                bound, self._held = self._held or _bound(self.host, self.port), None
                self._listener = _listening(bound)
                self._listen()

        self._tap.call(do)

    def wait(self, predicate: Callable[[Record], bool], deadline: float, since: int = 0) -> Record:
        """Return the first journal record that satisfies the predicate, past or to come.

        `deadline` is in seconds; TimeoutError says what came last. `since` leaves out that many of the oldest records.
        """
        return self._journal.wait(predicate, deadline, since)

    def close(self) -> None:
        """Stop listening and close every connection in good order. Calling it twice does nothing."""
        if not self._closed:
            self._tap.call(self._close)

    def __enter__(self) -> TapPort:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # -- in the tap's thread

    def _listen(self) -> None:
        assert self._listener is not None
        self._tap.loop.add_reader(self._listener, self._accept)

    def _arm(self, rule: Rule) -> None:
        self._arming.add(rule)
        if rule.moment.absolute:
            for relay in list(self._relays.values()):
                for flow in (relay.up, relay.down):
                    relay.rearm(flow)
                self._flush(relay)

    def _disarm(self) -> None:
        self._arming.disarm()
        for relay in list(self._relays.values()):
            relay.up.stops.clear()
            relay.down.stops.clear()
        self._release()

    def _release(self) -> None:
        """A rule is spent: bytes that were held for it alone may pass."""
        for relay in list(self._relays.values()):
            self._tap.loop.call_soon(self._flush, relay)

    @staticmethod
    def _flush(relay: Relay) -> None:
        for flow in (relay.up, relay.down):
            _flush_flow(flow)

    def _chosen(self, connection: int | None) -> list[Relay]:
        return [relay for ordinal, relay in list(self._relays.items()) if connection in (None, ordinal)]

    def _accept(self) -> None:
        if self._listener is None:
            return
        try:
            client, address = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as problem:  # out of descriptors: the listener would stay readable and the loop would spin
            self._tap.failures.append(problem)
            self._tap.loop.remove_reader(self._listener)
            self._tap.loop.call_later(_BREATHER, self.begin)
            return
        self._accepted += 1
        self._carry(client, address_text(address))

    def begin(self) -> None:
        """Accept, unless the port was closed meanwhile; for the tap."""
        if self._listener is not None:
            self._listen()

    def _carry(self, client: socket.socket, came_from: str) -> None:
        server = socket.socket(self._family, socket.SOCK_STREAM)
        for sock in (client, server):
            sock.setblocking(False)
            if sock.family != socket.AF_UNIX:
                # Nagle would join what a split sends byte by byte, and hold small messages back for the peer's ACK.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        relay = Relay(
            loop=self._tap.loop,
            hangups=self._tap.hangups,
            journal=self._journal,
            arming=self._arming,
            ordinal=self._accepted,
            client=client,
            server=server,
            over=self._gone,
            release=self._release,
        )
        self._relays[relay.ordinal] = relay
        relay.begin(self._target, came_from)

    def _gone(self, relay: Relay) -> None:
        self._relays.pop(relay.ordinal, None)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._tap.loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _close(self) -> None:
        self._closed = True
        self._stop_listening()
        if self._held is not None:
            self._held.close()
        self._arming.disarm()
        for relay in list(self._relays.values()):
            relay.finish()
        self._tap.forget(self)


class Tap:
    """A relay thread; `open` gives ports that lead through it. Use it as a context manager, or `start` and `stop` it.

    `failures` lists errors inside the relay itself: always empty, or the lab has a bug.
    """

    def __init__(self) -> None:
        self.failures: list[BaseException] = []
        self._ports: set[TapPort] = set()
        self._thread: threading.Thread | None = None

    def start(self) -> Tap:
        """Start the thread. Starting a running tap does nothing."""
        if self._thread is None:
            self.loop = asyncio.new_event_loop()
            self.loop.set_exception_handler(self._failed)
            self.hangups = Hangups(self.loop)
            self._thread = threading.Thread(target=self.loop.run_forever, name="wire tap", daemon=True)
            self._thread.start()
        return self

    def stop(self) -> None:
        """Close every port and end the thread. Stopping a stopped tap does nothing."""
        if self._thread is None:
            return
        for port in list(self._ports):
            port.close()
        self.call(self.hangups.close)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(ANSWERS_WITHIN)
        self.loop.close()
        self._thread = None

    def open(
        self,
        upstream: Upstream,
        listen_port: int = 0,
        rules: Iterable[Rule] = (),
        *,
        listen_host: str = "127.0.0.1",
        sink: Callable[[Record], None] | None = None,
    ) -> TapPort:
        """Listen on a loopback port (0, the default: any free one) and pass everything to `upstream`.

        `rules` are armed before a client can connect. `sink` is called in the tap's thread with each record of the
        journal. Raises BadInput when the address cannot be listened on or the upstream's name is not known.
        """
        port = TapPort(self, upstream, _listening(_bound(listen_host, listen_port)), sink)
        for rule in rules:
            port.prepare(rule)
        self._ports.add(port)
        # Not waited for: a client that connects before the loop turns waits in the kernel's queue.
        self.loop.call_soon_threadsafe(port.begin)
        return port

    def call(self, do: Callable[[], T]) -> T:
        """Run something in the tap's thread and return what it returns. Raises LabError when the thread does not
        answer.
        """
        if self._thread is None:
            raise LabError("the wire tap is not running", "start it first")
        if threading.current_thread() is self._thread:
            return do()
        answer: Future[T] = Future()

        def run() -> None:
            try:
                answer.set_result(do())
            except BaseException as problem:  # noqa: BLE001  # raised again in the thread that called
                answer.set_exception(problem)

        self.loop.call_soon_threadsafe(run)
        try:
            return answer.result(ANSWERS_WITHIN)
        except TimeoutError:
            raise LabError(f"the wire tap did not answer within {ANSWERS_WITHIN:g} s") from None

    def forget(self, port: TapPort) -> None:
        """A port has closed itself."""
        self._ports.discard(port)

    def _failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        problem = context.get("exception")
        self.failures.append(
            problem if isinstance(problem, BaseException) else RuntimeError(str(context.get("message")))
        )

    def __enter__(self) -> Tap:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def _flush_flow(flow: Flow) -> None:
    if flow.reading:
        flow.flush()


def _resolve(upstream: Upstream) -> tuple[socket.AddressFamily, object]:
    if isinstance(upstream, str):
        return socket.AF_UNIX, upstream
    try:
        found = socket.getaddrinfo(*upstream, type=socket.SOCK_STREAM)
    except OSError as problem:
        raise BadInput(f"no address for {upstream[0]!r}: {problem}", "give the server's HOST:PORT") from None
    return found[0][0], found[0][4]


def _listening(bound: socket.socket) -> socket.socket:
    try:
        bound.listen(_BACKLOG)
    except OSError as problem:
        host, port = bound.getsockname()[:2]
        bound.close()
        raise _taken(host, port, problem) from None
    return bound


def _bound(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        # A port that a cut left in TIME_WAIT can be listened on again at once.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.setblocking(False)
    except (OSError, OverflowError) as problem:
        bound.close()
        raise _taken(host, port, problem) from None
    return bound


def _taken(host: str, port: int, problem: Exception) -> BadInput:
    return BadInput(f"cannot listen on {host}:{port}: {problem}", "give a free port of this machine")
