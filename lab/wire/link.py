"""One connection through the tap: two sockets, two flows, and what is done to them.

A `Flow` carries one direction: it reads from its source, lets the framer name what it read, and hands on as much as the
rules allow, never past the byte at which one of them acts. It reads again only when everything that may pass has
passed, so a reader that stalls stalls the sender too, and the tap holds at most one read and one unclassified message
head per direction.

How an end is told apart and passed on: a read of nothing is FIN and becomes a shutdown of the other socket's write
side; an error is RST and becomes RST. A reset that arrives while no flow reads that socket (the flow is blocked, or FIN
came before) is seen by `Hangups`. A failed write alone passes nothing on: what the dead peer had said before it died is
still read and delivered first.

Everything here runs in the tap's own thread.
"""

from __future__ import annotations

import asyncio
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from errno import ECONNRESET, EINPROGRESS
from functools import partial
from os import strerror
from struct import pack
from typing import Final

from lab.records.words import DEFAULT_DELAY_MS, Direction, Side, Sides, Way
from lab.wire.arming import Arming, Stop
from lab.wire.journal import Act, Event, Happening, Journal, Message
from lab.wire.protocol import Conversation, Frame, Framer

READ: Final = 1 << 16
"""Bytes taken from a socket at once, and so the most that a direction buffers besides one message head."""

_DRAINED: Final = 1 << 22  # bytes thrown away, at most, so that a FIN does not turn into RST
_LINGER_0: Final = pack("ii", 1, 0)  # struct linger: on, 0 seconds; close() then sends RST and drops what is unsent


class Hangups:
    """Tells of resets on sockets that no flow reads at the moment.

    A selector reports a reset only where reading or writing is waited for; a blocked flow does neither, and its peer
    would learn of the reset when the block ends, if ever. An epoll set with an empty mask reports exactly errors and
    hang-ups. Where there is no epoll (not Linux) such a reset is passed on late.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._told: dict[int, Callable[[], None]] = {}
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        if self._epoll is not None:
            loop.add_reader(self._epoll.fileno(), self._report)

    def __len__(self) -> int:
        return len(self._told)

    def watch(self, sock: socket.socket, tell: Callable[[], None]) -> None:
        """Call `tell` when the socket is reset or both its directions have ended."""
        if self._epoll is not None:
            self._told[sock.fileno()] = tell
            # Edge-triggered: a level would be told again on each turn of the loop until the socket is closed.
            self._epoll.register(sock.fileno(), select.EPOLLET)

    def forget(self, sock: socket.socket) -> None:
        """Stop watching, before the socket is closed."""
        if self._epoll is not None and self._told.pop(sock.fileno(), None) is not None:
            self._epoll.unregister(sock.fileno())

    def close(self) -> None:
        """Give the descriptor back."""
        if self._epoll is not None:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    def _report(self) -> None:
        assert self._epoll is not None
        for fd, _ in self._epoll.poll(0):
            if tell := self._told.get(fd):
                tell()


class Peer:
    """One of the two sockets. `open` until closed here; `reset` once the other end was seen to have reset it.

    `fd` is its descriptor, for the loop: asked for a socket that it does not know, a selector formats its repr.
    """

    __slots__ = ("fd", "open", "reset", "side", "sock")

    def __init__(self, side: Side, sock: socket.socket) -> None:
        self.side = side
        self.sock = sock
        self.fd = sock.fileno()
        self.open = True
        self.reset = False

    def finish(self) -> None:
        """Close so that the peer reads an end, not a reset: with unread bytes a plain close would send RST."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
            left = _DRAINED
            while left > 0 and (data := self.sock.recv(READ)):
                left -= len(data)
        except OSError:
            pass  # nothing left to read, or the peer is gone already
        self._close()

    def abort(self) -> None:
        """Close with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
        self._close()

    def _close(self) -> None:
        self.open = False
        self.sock.close()


class Flow:
    """One direction of a relay; see the module."""

    def __init__(self, relay: Relay, direction: Direction, source: Peer, sink: Peer, framer: Framer) -> None:
        self.relay = relay
        self.direction = direction
        self.source = source
        self.sink = sink
        self.framer = framer
        self.passed = 0  # bytes handed to the other side's kernel, or swallowed
        self.received = 0
        self.stops: list[Stop] = []
        self.frames: deque[Frame] = deque()  # classified, not yet passed whole
        self.stalled = False
        self.swallow = False
        self.split = False
        self.ended = False  # the source will send nothing more
        self.done = False  # the sink has been told so, or will never be
        self._asked = 0  # ordinal of the last message that the rules have been asked about
        self._pending = b""
        self._at = 0  # index in _pending of the first byte not passed
        self._turn = False  # a split flow goes on at the loop's next turn
        self._reading = False
        self._writing = False

    # -- in

    def readable(self) -> None:
        """The source has something to say: bytes, an end, or an error."""
        if self.stalled:
            self.want_reading(False)
            return
        try:
            data = self.source.sock.recv(READ)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.source_reset()
            return
        if data:
            self._take(data)
        elif self.source.reset:
            self.source_reset()
        else:
            self.ended = True
            self.relay.note("fin", self.source.side)
        self.flush()

    def _take(self, data: bytes) -> None:
        self.received += len(data)
        self._pending = self._pending[self._at :] + data if self._at < len(self._pending) else data
        self._at = 0
        self.frames.extend(self.framer.feed(data))
        for direction, why in self.relay.conversation.opaque:
            self.relay.note("opaque", None, f"{direction} {why}")
        self.relay.conversation.opaque.clear()

    def source_reset(self) -> None:
        """The source is gone with an error: deliver what it had said, then reset the sink, unless a rule holds the news
        back.
        """
        self.ended = True
        self.relay.note_reset(self.source)
        self.flush()
        if self.stalled:
            return
        if self.swallow and self.sink.open:
            self.relay.maybe_over()
        else:
            self.relay.abort()

    # -- out

    def flush(self) -> None:
        """Hand on all that may pass, act where a rule says so, and read on when nothing is left over."""
        if self.relay.carrying():
            blocked = self._pass_on()
            if self.relay.carrying():
                self._settle(blocked)

    def _pass_on(self) -> bool:
        """Send until nothing may pass or nothing is accepted; return whether the sink is to blame."""
        while not (self.stalled or self.done):
            limit = self._limit()
            if self.stops and self.stops[0].offset <= self.passed:
                self.relay.reached(self, self.stops.pop(0))
            elif limit <= self.passed:
                return False
            elif not self._send(limit - self.passed):
                return True
        return False

    def _settle(self, blocked: bool) -> None:
        """Tell the loop what to wait for next; pass the end on when its turn has come."""
        self._want_writing(blocked and not (self._turn or self.done))
        if self.ended and self.passed == self.received and not self.stalled and not self.source.reset:
            self._pass_end()
        # A flow that stalls listens on until its source does say something: of a client that waits for its answer that
        # never comes, and to stop and to begin again costs more than what passes.
        if not self.stalled or self.over:
            self.want_reading(not (blocked or self.over))

    def _limit(self) -> int:
        """The byte of the stream up to which everything may pass now."""
        relay = self.relay
        held = False
        if relay.arming.rules:
            held = not self.ended and relay.arming.held(relay.ordinal, self.direction)
            self._ask()
        limit = self.framer.safe if held else self.received
        return min(limit, self.stops[0].offset) if self.stops else limit

    def _ask(self) -> None:
        """Ask the rules about each message whose turn it is; not about those behind a stop, since that may change the
        rules.
        """
        for frame in self.frames:
            if self.stops and frame.start >= self.stops[0].offset:
                return
            if frame.ordinal > self._asked:
                self._asked = frame.ordinal
                if frame.start < self.passed:
                    continue
                if found := self.relay.arming.stops(self.relay.ordinal, self.direction, frame):
                    self.stops = sorted(self.stops + found, key=lambda stop: stop.offset)

    def _send(self, count: int) -> bool:
        """Hand on up to `count` bytes; False when the sink takes no more for now."""
        if self.split:
            count = 1
        at = time.monotonic_ns()  # before, because who gets the bytes may have gone on before send() returns
        if self.swallow or not self.sink.open:
            self._advance(count, at)
            return True
        whole = self._at == 0 and count == len(self._pending)
        chunk = self._pending if whole else memoryview(self._pending)[self._at : self._at + count]
        try:
            sent = self.sink.sock.send(chunk)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            self._sink_lost()
            return False
        self._advance(sent, at)
        if self.split and self.passed < self.received:
            # One byte per turn of the loop, so that a reader has the chance to see each alone.
            if not self._turn:
                self._turn = True
                self.relay.loop.call_soon(self.go_on)
            return False
        return sent == count

    def go_on(self) -> None:
        """Flush, from the loop."""
        self._turn = False
        self.flush()

    def _advance(self, count: int, at_ns: int) -> None:
        self.passed += count
        self._at += count
        if self._at >= len(self._pending):
            self._pending, self._at = b"", 0
        while self.frames and self.frames[0].end <= self.passed:
            self.relay.crossed(self.frames.popleft(), self.direction, self.swallow, at_ns)

    def _sink_lost(self) -> None:
        """The sink refused bytes: it is dead. Its last words may be waiting unread, so the other flow decides when to
        reset.
        """
        self.relay.note_reset(self.sink)
        back = self.relay.flow_from(self.sink)
        if back.stalled or back.swallow:
            self.swallow = True  # the source must not learn of it: go on taking what it sends
            return
        self.done = True
        if not back.reading:
            back.source_reset()

    def _pass_end(self) -> None:
        """Everything has passed and no more will come: say so to the sink, unless a rule swallows it."""
        if not self.swallow and not self.done and self.sink.open:
            try:
                self.sink.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it is gone, which its own flow finds out
            self.done = True
        self.relay.maybe_over()

    # -- the loop

    @property
    def reading(self) -> bool:
        """Whether what the source says will be read when it does."""
        return self._reading and not self.stalled

    @property
    def over(self) -> bool:
        """Whether nothing will ever come of this direction again."""
        return self.ended or (self.done and not self.swallow)

    def want_reading(self, wanted: bool) -> None:
        """Start or stop listening to the source."""
        if wanted and not self._reading and self.source.open:
            self.relay.loop.add_reader(self.source.fd, self.readable)
        elif self._reading and not wanted:
            self.relay.loop.remove_reader(self.source.fd)
        self._reading = wanted and self.source.open

    def _want_writing(self, wanted: bool) -> None:
        if wanted and not self._writing:
            self.relay.loop.add_writer(self.sink.fd, self.flush)
        elif self._writing and not wanted:
            self.relay.loop.remove_writer(self.sink.fd)
        self._writing = wanted

    def let_go(self, peer: Peer) -> None:
        """Stop watching a socket that is about to be closed."""
        if peer is self.source:
            self.want_reading(False)
        else:
            self._want_writing(False)


class Relay:
    """A connection that the tap carries: the client's socket, the server's, and the flow in each direction.

    `over` is called once, when both sockets are closed.
    """

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        hangups: Hangups,
        journal: Journal,
        arming: Arming,
        ordinal: int,
        client: socket.socket,
        server: socket.socket,
        over: Callable[[Relay], None],
        release: Callable[[], None],
    ) -> None:
        self.loop = loop
        self.journal = journal
        self.arming = arming
        self.ordinal = ordinal
        self.alive = True
        self.connected = False
        self.conversation = Conversation()
        self.client = Peer("client", client)
        self.server = Peer("server", server)
        self.up = Flow(self, "upstream", self.client, self.server, self.conversation.up)
        self.down = Flow(self, "downstream", self.server, self.client, self.conversation.down)
        self._hangups = hangups
        self._over = over
        self._release = release
        self._timers: list[asyncio.TimerHandle] = []

    # -- beginning

    def begin(self, address: object, came_from: str) -> None:
        """Act if a rule waits for this connection, then dial the server; a failure there becomes RST for the
        client.
        """
        self.note("accept", None, came_from)
        for armed in self.arming.connect(self.ordinal):
            self.act(armed.rule.way, armed.rule.sides, str(armed.rule.moment), delay_ms=armed.rule.delay_ms)
            if not self.client.open:
                self.finish()
                return
        if not self.server.open:
            return
        failed = self.server.sock.connect_ex(address)  # type: ignore[arg-type]  # as getaddrinfo gave it
        if failed == EINPROGRESS:
            self.loop.add_writer(self.server.fd, self._dialled)
        else:
            self._connected(failed)

    def _dialled(self) -> None:
        self.loop.remove_writer(self.server.fd)
        self._connected(self.server.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def _connected(self, failed: int) -> None:
        if failed and failed != ECONNRESET:
            self.note("refused", None, strerror(failed))
            self.abort()
            return
        self.note("connected", None, address_text(self.server.sock.getsockname()))
        if failed:  # established, and reset before this look at it: what the server had said can still be read
            self.note_reset(self.server)
        self._carry()

    def _carry(self) -> None:
        """Both sockets are as good as they will be: let bytes flow."""
        self.connected = True
        for peer in (self.client, self.server):
            if peer.open:
                self._hangups.watch(peer.sock, partial(self._hung_up, peer))
        for flow in (self.up, self.down):
            self.rearm(flow)
            flow.flush()

    def carrying(self) -> bool:
        """Whether bytes can pass at all: the server has been reached, and the end has not come."""
        return self.alive and self.connected

    def rearm(self, flow: Flow) -> None:
        """Set the stops of the absolute bytes that are armed now."""
        known = {id(stop.armed) for stop in flow.stops}
        found = self.arming.bytes(self.ordinal, flow.direction, flow.passed)
        flow.stops = sorted(
            flow.stops + [stop for stop in found if id(stop.armed) not in known], key=lambda stop: stop.offset
        )

    # -- what was seen

    def crossed(self, frame: Frame, direction: Direction, dropped: bool, at_ns: int) -> None:
        """A whole message has passed; `at_ns` is when its last byte was handed on."""
        self.journal.append(
            Message(
                self.ordinal,
                direction,
                frame.ordinal,
                frame.letter,
                frame.name,
                frame.start,
                frame.end - frame.start,
                at_ns,
                frame.tx,
                frame.moments,
                frame.verb,
                frame.sqlstate,
                dropped,
                self.conversation.pid if frame.letter == "K" else 0,
            )
        )

    def note(self, event: Happening, side: Side | None, detail: str = "") -> None:
        """Something happened to the connection."""
        self.journal.append(
            Event(
                self.ordinal,
                event,
                time.monotonic_ns(),
                side,
                self.up.passed,
                self.down.passed,
                detail,
            )
        )

    def note_reset(self, peer: Peer) -> None:
        """A peer has reset its socket; said once."""
        if not peer.reset:
            peer.reset = True
            self.note("rst", peer.side)

    def _hung_up(self, peer: Peer) -> None:
        """An error or the end of both directions, on a socket that perhaps no flow reads."""
        if not (self.alive and peer.open and peer.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)):
            return
        self.note_reset(peer)
        flow = self.flow_from(peer)
        if not flow.reading:  # else its reader drains what came before the reset, and then says so
            flow.source_reset()

    def flow_from(self, peer: Peer) -> Flow:
        """The direction that this peer feeds."""
        return self.up if peer is self.client else self.down

    def flow_to(self, peer: Peer) -> Flow:
        """The direction that feeds this peer."""
        return self.down if peer is self.client else self.up

    # -- acts

    def reached(self, flow: Flow, stop: Stop) -> None:
        """A flow has come to a stop: let its rule act."""
        if not self.arming.due(stop):
            return
        rule = stop.armed.rule
        frame = stop.frame
        if frame is None and flow.frames and flow.frames[0].start < flow.passed:
            frame = flow.frames[0]
        self.act(rule.way, rule.sides, str(rule.moment), delay_ms=rule.delay_ms, flow=flow, frame=frame)
        self._release()

    def act(
        self,
        way: Way,
        sides: Sides,
        moment: str = "now",
        *,
        delay_ms: int = DEFAULT_DELAY_MS,
        flow: Flow | None = None,
        frame: Frame | None = None,
    ) -> None:
        """Do it, and write down that it was done and where the streams were."""
        at = time.monotonic_ns()  # before, because what it does to the client may be over before this returns
        passed = (self.up.passed, self.down.passed)
        peers = [peer for peer in (self.client, self.server) if sides in ("both", peer.side)]
        if way in ("fin", "rst"):
            for peer in peers:
                self._cut(peer, way)
        else:
            self._soften(way, peers, delay_ms)
        self.journal.append(
            Act(
                self.ordinal,
                way,
                sides,
                moment,
                at,
                *passed,
                flow.direction if flow else None,
                frame.ordinal if frame else 0,
                flow.passed - frame.start if flow and frame else 0,
                frame.name if frame else "",
                frame.moments if frame else (),
                self.conversation.tx,
                self.conversation.pid,
                frame.verb if frame else "",
            )
        )
        if self.alive and not (self.connected or self.server.open):
            self._carry()  # the server will not be dialled any more: from here on the client meets silence
        self.maybe_over()

    def _soften(self, way: Way, peers: list[Peer], delay_ms: int) -> None:
        if way == "drop-reply":
            self.down.swallow = True
            return
        for flow in map(self.flow_to, peers):
            if way == "half-close":
                self._half_close(flow)
            elif way == "split":
                flow.split = True
            else:
                flow.stalled = True
                flow.let_go(flow.sink)
        if way == "delay":
            flows = tuple(map(self.flow_to, peers))
            self._timers.append(self.loop.call_later(delay_ms / 1000, self.resume, flows))

    def _half_close(self, flow: Flow) -> None:
        if flow.sink.open and not flow.done:
            try:
                flow.sink.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # gone already, which its own flow finds out
        flow.swallow = True

    def _cut(self, peer: Peer, way: Way) -> None:
        """End one socket; the flow from it is over, what is meant for it is swallowed from now on."""
        if not peer.open:
            return
        self._let_go(peer)
        if way == "fin":
            peer.finish()
        else:
            peer.abort()
        away, to = self.flow_from(peer), self.flow_to(peer)
        away.ended = away.done = True
        to.swallow = True
        to.stalled = False
        if to.source.open:
            self.loop.call_soon(to.go_on)

    def resume(self, flows: tuple[Flow, ...] = ()) -> None:
        """End the stalls of these flows (default: both) and deliver what waited, a reset included."""
        stalled = [flow for flow in flows or (self.up, self.down) if flow.stalled and self.alive]
        if not stalled:
            return
        for flow in stalled:
            flow.stalled = False
        self.note("resumed", None)
        for flow in stalled:
            if self.alive:
                flow.flush()
            if self.alive and flow.source.reset and not flow.reading:
                flow.source_reset()

    # -- the end

    def maybe_over(self) -> None:
        """Close when nothing will pass any more in either direction, or both sockets are closed."""
        closed = not (self.client.open or self.server.open)
        if self.alive and (closed or (self.up.over and self.down.over)):
            self.finish()

    def finish(self) -> None:
        """Close what is still open, in good order."""
        self._end(Peer.finish)

    def abort(self) -> None:
        """Close what is still open, with RST."""
        self._end(Peer.abort)

    def _end(self, close: Callable[[Peer], None]) -> None:
        if not self.alive:
            return
        self.alive = False
        for timer in self._timers:
            timer.cancel()
        for peer in (self.client, self.server):
            if peer.open:
                self._let_go(peer)
                close(peer)
        self.up.done = self.down.done = True
        self.note("closed", None)
        self._over(self)

    def _let_go(self, peer: Peer) -> None:
        self._hangups.forget(peer.sock)
        self.up.let_go(peer)
        self.down.let_go(peer)
        self.loop.remove_writer(peer.fd)  # of a dial that has not ended


def address_text(name: object) -> str:
    """A socket's address as HOST:PORT."""
    if isinstance(name, tuple) and len(name) >= 2:
        return f"[{name[0]}]:{name[1]}" if ":" in str(name[0]) else f"{name[0]}:{name[1]}"
    return str(name)
