"""The tap against plain sockets: the same bodies with and without it in between, then what it does when told to."""

from __future__ import annotations

import io
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.errors import BadInput, LabError
from lab.wire.journal import Act, Event, Message, Record, from_lines
from lab.wire.link import READ
from lab.wire.protocol import SSL_REQUEST
from lab.wire.rule import Rule
from lab.wire.standalone import run_tap
from lab.wire.tap import Tap, TapPort

DEADLINE = 10.0  # seconds; a passing test needs none of them
QUIET = 0.05  # seconds in which nothing must happen
BIG = os.urandom(5 * 1024 * 1024)
STARTUP = struct.pack("!II", 8, 3 << 16)
COMMIT = b"Q" + struct.pack("!I", 11) + b"COMMIT\0"
COMMITTED = b"C" + struct.pack("!I", 11) + b"COMMIT\0"

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(scope="module")
def tap() -> Iterator[Tap]:
    with Tap() as tap:
        yield tap
        assert tap.failures == []


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        listener.settimeout(DEADLINE)
        yield listener


@pytest.fixture
def lined(tap: Tap, listener: socket.socket) -> Iterator[Callable[..., TapPort]]:
    """Open a line to the listener; closed afterwards."""
    lines: list[TapPort] = []

    def open_line(*rules: Rule) -> TapPort:
        lines.append(tap.open(listener.getsockname(), rules=rules))
        return lines[-1]

    yield open_line
    for line in lines:
        line.close()


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    kept: list[socket.socket] = []
    yield kept
    for one in kept:
        one.close()


@pytest.fixture
def dial(listener: socket.socket, sockets: list[socket.socket]) -> Callable[[int], Pair]:
    """Connect to a port and accept at the listener: the client's socket and the server's."""

    def connect(port: int) -> Pair:
        client = socket.create_connection(("127.0.0.1", port), DEADLINE)
        server, _ = listener.accept()
        server.settimeout(DEADLINE)
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sockets.extend((client, server))
        return client, server

    return connect


@pytest.fixture(params=["direct", "tap"])
def pair(
    request: pytest.FixtureRequest,
    listener: socket.socket,
    lined: Callable[..., TapPort],
    dial: Callable[[int], Pair],
) -> Pair:
    return dial(listener.getsockname()[1] if request.param == "direct" else lined().port)


@pytest.fixture(params=["client speaks", "server speaks"])
def ends(request: pytest.FixtureRequest, pair: Pair) -> Pair:
    """The same pair, either way round."""
    return pair if request.param == "client speaks" else (pair[1], pair[0])


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def read(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count and (more := sock.recv(min(1 << 16, count - len(data)))):
        data += more
    return data


def drain(sock: socket.socket) -> tuple[bytes, str]:
    """Read to the end: all bytes, and "fin" or "rst"."""
    got = b""
    try:
        while more := sock.recv(1 << 16):
            got += more
    except ConnectionResetError:
        return got, "rst"
    return got, "fin"


def quiet(sock: socket.socket) -> bool:
    """Whether a socket has neither bytes nor an end to read."""
    return not select.select([sock], [], [], QUIET)[0]


def assert_reset(sock: socket.socket) -> None:
    with pytest.raises(ConnectionResetError):
        read(sock, 1 << 30)


def write_until_refused(sock: socket.socket) -> None:
    """Write byte after byte; raises when the peer is known to be gone, which takes the news a moment."""
    ends = time.monotonic() + DEADLINE
    while time.monotonic() < ends:
        sock.sendall(b"x")


def assert_reset_at_once(port: int) -> None:
    """Connect and be reset, which may come so soon that connect itself says so."""
    with pytest.raises(ConnectionResetError), socket.create_connection(("127.0.0.1", port), DEADLINE) as client:
        client.recv(1)


def fill(sock: socket.socket, patience: float = 0.2) -> int:
    """Send until nobody takes any more; return the bytes that were taken."""
    taken = 0
    while select.select([], [sock], [], patience)[1]:
        sock.setblocking(False)
        try:
            while True:
                taken += sock.send(BIG[:65536])
        except BlockingIOError:
            pass
        sock.settimeout(DEADLINE)
    return taken


def in_background(do: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=do)
    thread.start()
    return thread


# -- with and without the tap


def test_bytes_arrive(ends: Pair) -> None:
    ends[0].sendall(b"x")
    assert read(ends[1], 1) == b"x"


def test_fin_is_fin(ends: Pair) -> None:
    ends[0].sendall(b"last words")
    ends[0].close()
    assert read(ends[1], 100) == b"last words"
    assert ends[1].recv(1) == b""


def test_rst_is_rst(ends: Pair) -> None:
    ends[0].sendall(b"x")
    assert read(ends[1], 1) == b"x"
    reset(ends[0])
    assert_reset(ends[1])


def test_words_before_a_rst_are_delivered(ends: Pair) -> None:
    ends[0].sendall(b"last words")
    reset(ends[0])
    select.select([ends[1]], [], [], DEADLINE)
    assert drain(ends[1]) == (b"last words", "rst")


def test_half_close_lets_the_answer_through(ends: Pair) -> None:
    ends[0].sendall(b"question")
    ends[0].shutdown(socket.SHUT_WR)
    assert read(ends[1], 100) == b"question"
    ends[1].sendall(BIG[:200_000])
    ends[1].close()
    assert read(ends[0], 1 << 20) == BIG[:200_000]


def test_both_half_closes_end_it(ends: Pair) -> None:
    for one, other in (ends, ends[::-1]):
        one.shutdown(socket.SHUT_WR)
        assert other.recv(1) == b""


def test_close_with_unread_bytes_is_rst(ends: Pair) -> None:
    ends[0].sendall(b"never read")
    select.select([ends[1]], [], [], DEADLINE)
    ends[1].close()
    assert_reset(ends[0])


def test_rst_after_half_close_is_rst(ends: Pair) -> None:
    ends[0].shutdown(socket.SHUT_WR)
    assert ends[1].recv(1) == b""
    reset(ends[0])
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        write_until_refused(ends[1])


def test_writing_to_a_closed_peer_comes_back_as_an_error(ends: Pair) -> None:
    ends[0].close()
    assert ends[1].recv(1) == b""
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        write_until_refused(ends[1])


def test_last_words_are_read_by_a_peer_that_is_writing(ends: Pair) -> None:
    """A server says FATAL and goes while the client still sends: the client must be able to read why."""
    ends[1].sendall(b"x" * 1000)
    select.select([ends[0]], [], [], DEADLINE)
    ends[0].sendall(b"why")
    ends[0].close()  # with unread bytes, so this is RST
    select.select([ends[1]], [], [], DEADLINE)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        write_until_refused(ends[1])
    assert ends[1].recv(3) == b"why"


def test_a_reader_that_stalls_blocks_the_sender_and_nothing_is_lost(ends: Pair) -> None:
    taken = fill(ends[0])
    assert taken < 64 << 20
    got = 0
    ends[0].shutdown(socket.SHUT_WR)
    while more := ends[1].recv(1 << 20):
        got += len(more)
    assert got == taken


def test_rst_reaches_a_reader_that_stalls(ends: Pair) -> None:
    fill(ends[0])
    reset(ends[0])
    poll = select.poll()
    poll.register(ends[1], 0)  # errors and hang-ups alone
    assert poll.poll(DEADLINE * 1000)


@pytest.mark.parametrize("both", [False, True])
def test_five_megabytes_arrive_intact(ends: Pair, both: bool) -> None:
    senders = [in_background(lambda: ends[0].sendall(BIG))]
    if both:
        senders.append(in_background(lambda: ends[1].sendall(BIG)))
        got: list[bytes] = []
        senders.append(in_background(lambda: got.append(read(ends[0], len(BIG)))))
    assert read(ends[1], len(BIG)) == BIG
    for sender in senders:
        sender.join()
    assert not both or got == [BIG]


def test_bytes_one_by_one(ends: Pair) -> None:
    for value in range(256):
        ends[0].sendall(bytes((value,)))
    assert read(ends[1], 256) == bytes(range(256))


# -- the beginning


def test_a_refused_connection_reaches_the_client_as_rst(tap: Tap) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        nobody = gone.getsockname()
    with tap.open(nobody) as line:
        assert_reset_at_once(line.port)
        line.wait(lambda record: isinstance(record, Event) and record.event == "refused", DEADLINE)


def test_a_line_can_refuse_and_admit_again(lined: Callable[..., TapPort], dial: Callable[[int], Pair]) -> None:
    line = lined()
    client, server = dial(line.port)
    line.refuse()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", line.port), DEADLINE)
    client.sendall(b"still here")
    assert read(server, 10) == b"still here"
    line.admit()
    dial(line.port)


def test_a_port_that_refuses_is_given_to_no_other_program(lined: Callable[..., TapPort]) -> None:
    line = lined()
    line.refuse()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", line.port))
    line.close()
    with socket.socket() as other:
        other.bind(("127.0.0.1", line.port))


def test_the_second_connection_is_cut_before_the_server_hears_of_it(
    lined: Callable[..., TapPort], dial: Callable[[int], Pair], listener: socket.socket
) -> None:
    line = lined(Rule.parse("c2:connect", "rst"))
    dial(line.port)
    assert_reset_at_once(line.port)
    assert quiet(listener)
    dial(line.port)
    assert [act.connection for act in line.landed] == [2]


# -- acts


@pytest.mark.parametrize("way", ["fin", "rst"])
@pytest.mark.parametrize("sides", ["client", "server", "both"])
def test_a_cut_hits_whom_it_should(
    lined: Callable[..., TapPort], dial: Callable[[int], Pair], way: str, sides: str
) -> None:
    line = lined()
    peers = dict(zip(("client", "server"), dial(line.port), strict=True))
    assert line.act(way, sides=sides) == 1  # type: ignore[arg-type]
    for side, sock in peers.items():
        if sides not in ("both", side):
            assert quiet(sock)
            sock.sendall(b"into the void")
        elif way == "rst":
            assert_reset(sock)
        else:
            assert sock.recv(1) == b""
    for sock in peers.values():
        sock.close()
    line.wait(lambda record: isinstance(record, Event) and record.event == "closed", DEADLINE)


def test_fin_is_fin_although_bytes_are_unread(lined: Callable[..., TapPort], dial: Callable[[int], Pair]) -> None:
    line = lined()
    client, server = dial(line.port)
    line.act("stall")
    client.sendall(b"x" * 1000)
    server.sendall(b"x" * 1000)
    line.act("fin")
    assert client.recv(1) == b""
    assert server.recv(1) == b""


@pytest.mark.parametrize("at", range(0, 30, 7))
@pytest.mark.parametrize("way", ["fin", "rst"])
@pytest.mark.parametrize("chunk", [1, 100])
def test_exactly_so_many_bytes_pass(
    lined: Callable[..., TapPort], dial: Callable[[int], Pair], at: int, way: str, chunk: int
) -> None:
    line = lined()
    client, server = dial(line.port)
    line.arm(Rule.parse(f"down@{at}", way))
    try:
        for n in range(0, 100, chunk):
            server.sendall(BIG[n : n + chunk])
    except OSError:
        pass  # the cut came first
    assert drain(client) == (BIG[:at], way)
    assert line.landed[0].downstream == at


@pytest.mark.parametrize("sides", ["client", "server", "both"])
def test_a_stall_holds_bytes_and_ends_until_resumed(
    lined: Callable[..., TapPort], dial: Callable[[int], Pair], sides: str
) -> None:
    line = lined()
    peers = dict(zip(("client", "server"), dial(line.port), strict=True))
    line.act("stall", sides=sides)  # type: ignore[arg-type]
    for sock in peers.values():
        sock.sendall(b"hello")
        sock.shutdown(socket.SHUT_WR)
    for side, sock in peers.items():
        if sides in ("both", side):
            assert quiet(sock)
        else:
            assert read(sock, 9) == b"hello"
    line.resume()
    for side, sock in peers.items():
        if sides in ("both", side):
            assert read(sock, 9) == b"hello"


def test_a_stall_holds_a_reset_back_and_delivers_it(lined: Callable[..., TapPort], dial: Callable[[int], Pair]) -> None:
    line = lined()
    client, server = dial(line.port)
    line.act("stall")
    reset(server)
    line.wait(lambda record: isinstance(record, Event) and record.event == "rst", DEADLINE)
    assert quiet(client)
    line.resume()
    assert_reset(client)


def test_a_stall_is_back_pressure(lined: Callable[..., TapPort], dial: Callable[[int], Pair]) -> None:
    line = lined()
    client, server = dial(line.port)
    line.act("stall")
    taken = fill(client)
    assert taken < 32 << 20
    line.resume()
    assert len(read(server, taken)) == taken


def test_a_stall_can_end_in_a_cut(lined: Callable[..., TapPort], dial: Callable[[int], Pair]) -> None:
    line = lined()
    client, server = dial(line.port)
    line.act("stall")
    client.sendall(b"x")
    line.act("rst")
    assert_reset(client)
    assert_reset(server)


def test_a_half_close_by_the_tap(lined: Callable[..., TapPort], dial: Callable[[int], Pair]) -> None:
    line = lined()
    client, server = dial(line.port)
    line.act("half-close", sides="client")
    assert client.recv(1) == b""
    client.sendall(b"I can still speak")
    assert read(server, 17) == b"I can still speak"
    server.sendall(BIG)
    assert client.recv(1) == b""
    client.close()
    assert server.recv(1) == b""


def test_a_dropped_reply_leaves_the_client_in_silence(
    lined: Callable[..., TapPort], dial: Callable[[int], Pair]
) -> None:
    line = lined()
    client, server = dial(line.port)
    line.act("drop-reply")
    client.sendall(b"question")
    assert read(server, 8) == b"question"
    server.sendall(BIG)
    server.close()
    assert quiet(client)
    client.sendall(b"are you there")
    assert quiet(client)
    client.close()
    line.wait(lambda record: isinstance(record, Event) and record.event == "closed", DEADLINE)


def test_a_split_sends_single_bytes(lined: Callable[..., TapPort], dial: Callable[[int], Pair]) -> None:
    line = lined()
    client, server = dial(line.port)
    line.act("split")
    client.sendall(BIG[:2000])
    assert read(server, 2000) == BIG[:2000]
    server.sendall(BIG[:2000])
    server.close()
    assert read(client, 2001) == BIG[:2000]


def test_a_split_is_back_pressure_too(lined: Callable[..., TapPort], dial: Callable[[int], Pair]) -> None:
    line = lined()
    client, server = dial(line.port)
    taken = fill(client)
    line.act("split")
    assert len(read(server, taken - 70_000)) == taken - 70_000 if taken < 1 << 17 else read(server, 1 << 16)
    line.act("rst")


def test_a_delay_resumes_by_itself(lined: Callable[..., TapPort], dial: Callable[[int], Pair]) -> None:
    line = lined()
    client, server = dial(line.port)
    began = time.monotonic()
    line.act("delay", sides="server", delay_ms=60)
    client.sendall(b"x")
    assert read(server, 1) == b"x"
    assert time.monotonic() - began >= 0.06


# -- moments


@pytest.mark.parametrize("byte", range(len(COMMIT) + 1))
@pytest.mark.parametrize("way", ["fin", "rst"])
def test_a_cut_inside_a_message(
    lined: Callable[..., TapPort], dial: Callable[[int], Pair], byte: int, way: str
) -> None:
    line = lined(Rule.parse(f"commit-sent+{byte}", way))
    client, server = dial(line.port)
    client.sendall(STARTUP + COMMIT)
    assert drain(server) == (STARTUP + COMMIT[:byte], way)
    (act,) = line.landed
    assert (act.byte, act.ordinal, act.message, act.upstream) == (byte, 2, "Query", len(STARTUP) + byte)


def test_a_message_in_pieces_is_found_all_the_same(lined: Callable[..., TapPort], dial: Callable[[int], Pair]) -> None:
    line = lined(Rule.parse("commit-sent+0", "stall", "server"))
    client, server = dial(line.port)
    for byte in STARTUP + COMMIT:
        client.sendall(bytes((byte,)))
    line.wait(lambda record: isinstance(record, Act), DEADLINE)
    assert read(server, len(STARTUP)) == STARTUP
    assert quiet(server)
    line.resume()
    assert read(server, len(COMMIT)) == COMMIT


def test_bytes_that_await_their_meaning_pass_when_nothing_waits_for_them(
    lined: Callable[..., TapPort], dial: Callable[[int], Pair]
) -> None:
    line = lined(Rule.parse("commit-sent+0", "rst"))
    client, server = dial(line.port)
    client.sendall(STARTUP + COMMIT[:7])
    assert read(server, len(STARTUP)) == STARTUP
    assert quiet(server)
    line.disarm()
    assert read(server, 7) == COMMIT[:7]


def test_held_bytes_pass_at_the_end(lined: Callable[..., TapPort], dial: Callable[[int], Pair]) -> None:
    line = lined(Rule.parse("commit-sent+0", "rst"))
    client, server = dial(line.port)
    client.sendall(STARTUP + COMMIT[:7])
    client.close()
    assert read(server, 100) == STARTUP + COMMIT[:7]


def test_occurrences_count_over_connections_and_a_rule_acts_once(
    lined: Callable[..., TapPort], dial: Callable[[int], Pair]
) -> None:
    line = lined(Rule.parse("commit-sent:3+0", "rst"))
    pairs = [dial(line.port) for _ in range(2)]
    for client, server in pairs:
        client.sendall(STARTUP + COMMIT)
        assert read(server, len(STARTUP + COMMIT)) == STARTUP + COMMIT
    pairs[0][0].sendall(COMMIT)
    assert_reset(pairs[0][0])
    pairs[1][0].sendall(COMMIT)
    assert read(pairs[1][1], len(COMMIT)) == COMMIT
    assert [act.connection for act in line.landed] == [1]


def test_a_repeated_rule_acts_each_time(lined: Callable[..., TapPort], dial: Callable[[int], Pair]) -> None:
    line = lined(Rule.parse("startup", "fin", repeat=True))
    for _ in range(3):
        client, _server = dial(line.port)
        client.sendall(STARTUP)
        assert client.recv(1) == b""
    assert len(line.landed) == 3


def test_a_byte_beyond_the_message_never_comes(lined: Callable[..., TapPort], dial: Callable[[int], Pair]) -> None:
    line = lined(Rule.parse("commit-sent+99", "rst"))
    client, server = dial(line.port)
    client.sendall(STARTUP + COMMIT * 20)
    assert read(server, len(STARTUP + COMMIT * 20)) == STARTUP + COMMIT * 20
    assert line.landed == []


def test_a_rule_armed_during_a_stall_finds_what_waits_behind_it(
    lined: Callable[..., TapPort], dial: Callable[[int], Pair]
) -> None:
    line = lined(Rule.parse("commit-sent:1", "stall", "server"))
    client, server = dial(line.port)
    client.sendall(STARTUP + COMMIT + COMMIT)
    assert read(server, len(STARTUP + COMMIT)) == STARTUP + COMMIT
    line.wait(lambda record: isinstance(record, Act), DEADLINE)
    line.arm(Rule.parse("commit-sent+4", "rst"))
    line.resume()
    assert drain(server) == (COMMIT[:4], "rst")


def test_two_rules_at_one_message_act_in_the_order_of_their_bytes(
    lined: Callable[..., TapPort], dial: Callable[[int], Pair]
) -> None:
    line = lined(
        Rule.parse("up#2+5", "rst"),
        Rule.parse("up@10", "delay", "server", delay_ms=1),
        Rule.parse("commit-sent+0", "split"),
    )
    client, _server = dial(line.port)
    client.sendall(STARTUP + COMMIT)
    assert_reset(client)
    assert [act.moment for act in line.landed] == ["commit-sent+0", "up@10", "up#2+5"]


def test_the_journal_knows_everything_that_a_peer_has_seen(
    lined: Callable[..., TapPort], dial: Callable[[int], Pair]
) -> None:
    line = lined()
    client, server = dial(line.port)
    client.sendall(STARTUP)
    read(server, len(STARTUP))
    for n in range(1, 200):
        client.sendall(COMMIT)
        read(server, len(COMMIT))
        assert [r.ordinal for r in line.journal if isinstance(r, Message)][-1] == n + 1


def test_garbage_passes_unharmed(lined: Callable[..., TapPort], dial: Callable[[int], Pair]) -> None:
    line = lined(Rule.parse("commit-sent", "rst"))
    client, server = dial(line.port)
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert read(server, 18) == b"GET / HTTP/1.1\r\n\r\n"
    server.sendall(BIG[:1000])
    assert read(client, 1000) == BIG[:1000]
    assert any(isinstance(r, Event) and r.detail == "upstream garbage" for r in line.journal)


def test_encryption_hides_moments_but_not_bytes(lined: Callable[..., TapPort], dial: Callable[[int], Pair]) -> None:
    line = lined(Rule.parse("commit-sent+0", "rst"), Rule.parse("up@12", "fin"))
    client, server = dial(line.port)
    client.sendall(struct.pack("!II", 8, SSL_REQUEST))
    assert read(server, 8)
    server.sendall(b"S")
    assert read(client, 1) == b"S"
    client.sendall(COMMIT)
    assert read(server, 100) == COMMIT[:4]
    assert [r.detail for r in line.journal if isinstance(r, Event) and r.event == "opaque"] == [
        "upstream encrypted",
        "downstream encrypted",
    ]
    assert [act.way for act in line.landed] == ["fin"]


def test_a_stalled_reader_costs_the_tap_no_memory(lined: Callable[..., TapPort], dial: Callable[[int], Pair]) -> None:
    line = lined()
    client, server = dial(line.port)
    fill(server)
    held = [len(relay.down._pending) for relay in line._relays.values()]
    assert held
    assert max(held) <= READ
    assert read(client, 1)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.binary(min_size=1, max_size=50), max_size=8),
    st.booleans(),
    st.sampled_from(["row:99+1", "commit-sent+0", "up#7"]),
)
def test_whatever_bytes_come_they_arrive_as_they_were(pieces: list[bytes], started: bool, moment: str) -> None:
    sent = ([STARTUP] if started else []) + pieces
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Tap() as tap,
        tap.open(listener.getsockname(), rules=[Rule.parse(moment, "drop-reply", repeat=False)]) as line,
        socket.create_connection(("127.0.0.1", line.port), DEADLINE) as client,
        listener.accept()[0] as server,
    ):
        for speaker, reader in ((client, server), (server, client)):
            for piece in sent:
                speaker.sendall(piece)
            speaker.shutdown(socket.SHUT_WR)
            reader.settimeout(DEADLINE)
            assert drain(reader) == (b"".join(sent), "fin")
        assert tap.failures == []


# -- housekeeping


def test_five_hundred_lines_leave_nothing_behind(
    tap: Tap, listener: socket.socket, dial: Callable[[int], Pair]
) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before, slowest = descriptors(), []
    for _ in range(500):
        line = tap.open(listener.getsockname(), rules=[Rule.parse("commit-acked+0", "rst"), Rule.parse("up@99", "fin")])
        client, server = dial(line.port)
        client.sendall(STARTUP)
        server.recv(100)
        began = time.perf_counter()
        line.close()
        slowest.append(time.perf_counter() - began)
        client.close()
        server.close()
    assert descriptors() == before
    assert sorted(slowest)[len(slowest) // 2] < 0.005
    assert tap.call(lambda: len(tap.hangups)) == 0


def test_a_closed_line_refuses_and_keeps_its_journal(tap: Tap, listener: socket.socket) -> None:
    line = tap.open(listener.getsockname())
    with socket.create_connection(("127.0.0.1", line.port), DEADLINE) as client:
        line.wait(lambda record: isinstance(record, Event) and record.event == "connected", DEADLINE)
        line.close()
        line.close()
        assert client.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", line.port), DEADLINE)
    assert [r.event for r in line.journal if isinstance(r, Event)] == ["accept", "connected", "closed"]


def test_a_port_that_is_taken_is_bad_input(tap: Tap, listener: socket.socket) -> None:
    with pytest.raises(BadInput):
        tap.open(listener.getsockname(), listener.getsockname()[1])


def test_a_tap_that_does_not_run_says_so() -> None:
    with pytest.raises(LabError, match="not running"):
        Tap().call(lambda: None)


def test_a_tap_starts_and_stops_again_and_again() -> None:
    tap = Tap()
    for _ in range(3):
        tap.start()
        tap.start()
        tap.open(("127.0.0.1", 1))
        tap.stop()
        tap.stop()


def test_the_tap_alone_says_what_it_does_and_writes_what_it_sees(listener: socket.socket, tmp_path: Path) -> None:
    class Out(io.StringIO):
        said = threading.Event()

        def flush(self) -> None:
            self.said.set()

    out, stop, file = Out(), threading.Event(), tmp_path / "journal.jsonl"
    upstream = f"127.0.0.1:{listener.getsockname()[1]}"
    rule = Rule.parse("commit-sent", "fin")
    running = in_background(lambda: run_tap("127.0.0.1:0", upstream, file, [rule], out, stop=stop))
    assert out.said.wait(DEADLINE)
    first = out.getvalue().splitlines()[0]
    assert "commit-sent" in first
    port = int(first.split(" -> ")[0].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as client:
        client.sendall(STARTUP + COMMIT)
        assert client.recv(1) == b""
    stop.set()
    running.join(DEADLINE)
    records: list[Record] = list(from_lines(file.read_text().splitlines()))
    assert [type(r).__name__ for r in records[2:]] == ["Message", "Message", "Act", "Event"]
    assert len(out.getvalue().splitlines()) == 1 + len(records)
