from __future__ import annotations

from itertools import pairwise
from struct import pack

from hypothesis import given
from hypothesis import strategies as st

from lab.wire.protocol import (
    CANCEL_REQUEST,
    DOWNSTREAM_TYPES,
    GSS_REQUEST,
    SSL_REQUEST,
    UPSTREAM_TYPES,
    Conversation,
    Frame,
    Framer,
)

STARTUP = pack("!II", 8 + 10, 3 << 16) + b"user\0lab\0\0"


def message(letter: str, body: bytes = b"") -> bytes:
    return letter.encode() + pack("!I", 4 + len(body)) + body


def query(sql: str) -> bytes:
    return message("Q", sql.encode() + b"\0")


def parse(name: str, sql: str) -> bytes:
    return message("P", f"{name}\0{sql}\0".encode() + b"\0\0")


def bind(portal: str, statement: str) -> bytes:
    return message("B", f"{portal}\0{statement}\0".encode() + b"\0\0" * 3)


def execute(portal: str = "") -> bytes:
    return message("E", portal.encode() + b"\0" + b"\0" * 4)


def complete(tag: str) -> bytes:
    return message("C", tag.encode() + b"\0")


def begun() -> Conversation:
    conversation = Conversation()
    conversation.up.feed(STARTUP)
    conversation.down.feed(message("R", b"\0" * 4) + message("Z", b"I"))
    return conversation


def moments(frames: list[Frame]) -> list[tuple[str, ...]]:
    return [frame.moments for frame in frames]


def sketch(frame: Frame) -> tuple[object, ...]:
    return (frame.ordinal, frame.letter, frame.start, frame.end, frame.moments, frame.verb, frame.sqlstate, frame.tx)


def in_pieces(framer: Framer, stream: bytes, cuts: list[int]) -> list[Frame]:
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [frame for a, b in pairwise(places) for frame in framer.feed(stream[a:b])]


BODIES = st.binary(max_size=40)
DOWN = st.lists(st.builds(message, st.sampled_from(sorted(DOWNSTREAM_TYPES)), BODIES), max_size=12).map(b"".join)
UP = st.lists(st.builds(message, st.sampled_from(sorted(UPSTREAM_TYPES)), BODIES), max_size=12).map(b"".join)
CUTS = st.lists(st.integers(0, 10_000), max_size=40)


@given(UP, CUTS)
def test_the_clients_messages_frame_the_same_however_they_are_split(stream: bytes, cuts: list[int]) -> None:
    whole, split = Conversation().up, Conversation().up
    expected = [sketch(frame) for frame in whole.feed(STARTUP + stream)]
    assert [sketch(frame) for frame in in_pieces(split, STARTUP + stream, cuts)] == expected
    assert split.safe == whole.safe == len(STARTUP + stream)


@given(DOWN, CUTS)
def test_the_servers_messages_frame_the_same_however_they_are_split(stream: bytes, cuts: list[int]) -> None:
    whole, split = begun().down, begun().down
    before = whole.safe
    expected = [sketch(frame) for frame in whole.feed(stream)]
    assert [sketch(frame) for frame in in_pieces(split, stream, cuts)] == expected
    assert split.safe == whole.safe == before + len(stream)


@given(st.binary(max_size=300), st.booleans(), CUTS)
def test_garbage_frames_the_same_however_it_is_split_and_every_byte_is_accounted_for(
    stream: bytes, upstream: bool, cuts: list[int]
) -> None:
    whole, split = begun(), begun()
    one, other = (whole.up, split.up) if upstream else (whole.down, split.down)
    before = one.safe
    assert [sketch(f) for f in one.feed(stream)] == [sketch(f) for f in in_pieces(other, stream, cuts)]
    assert one.safe == other.safe <= before + len(stream)
    if one.opaque:
        assert one.safe == before + len(stream)


@given(DOWN)
def test_frames_lie_end_to_end(stream: bytes) -> None:
    framer = begun().down
    at = framer.safe
    for frame in framer.feed(stream):
        assert frame.start == at
        at = frame.end
    assert at == framer.safe


def test_a_message_is_known_before_it_has_passed_whole() -> None:
    framer = begun().down
    row = message("D", b"x" * 100_000)
    (frame,) = framer.feed(row[:5])
    assert (frame.moments, frame.end - frame.start) == (("first-row", "row"), len(row))
    assert framer.feed(row[5:]) == []


def test_a_query_is_not_known_before_its_verb() -> None:
    framer = begun().up
    commit = query("COMMIT")
    before = framer.safe
    assert [framer.feed(commit[n : n + 1]) for n in range(len(commit) - 1)] == [[]] * (len(commit) - 1)
    assert framer.safe == before
    assert moments(framer.feed(commit[-1:])) == [("commit-sent",)]


def test_a_transaction_by_simple_query() -> None:
    conversation = begun()
    assert moments(conversation.up.feed(query("BEGIN"))) == [("begin-sent",)]
    conversation.down.feed(complete("BEGIN") + message("Z", b"T"))
    assert conversation.tx == "T"
    (insert,) = conversation.up.feed(query("INSERT INTO t VALUES ('secret')"))
    assert (insert.moments, insert.verb, insert.tx, insert.body) == (("query-sent",), "INSERT", "T", b"")
    conversation.down.feed(complete("INSERT 0 1") + message("Z", b"T"))
    assert moments(conversation.up.feed(query("COMMIT"))) == [("commit-sent",)]
    assert moments(conversation.down.feed(complete("COMMIT") + message("Z", b"I"))) == [
        ("command-complete", "commit-acked"),
        ("ready", "commit-ready"),
    ]
    assert conversation.tx == "I"


def test_a_transaction_in_one_query() -> None:
    conversation = begun()
    (sent,) = conversation.up.feed(query("BEGIN; INSERT INTO t VALUES (';COMMIT'); COMMIT"))
    assert sent.moments == ("begin-sent", "query-sent", "commit-sent")
    assert sent.verb == "BEGIN;INSERT;COMMIT"


def test_a_commit_by_extended_query_is_its_execute() -> None:
    conversation = begun()
    frames = conversation.up.feed(parse("s1", "COMMIT") + bind("", "s1") + execute() + message("S"))
    assert moments(frames) == [("parse-sent",), (), ("commit-sent",), ("sync-sent",)]
    frames = conversation.up.feed(bind("p", "s1") + execute("p") + message("S"))
    assert moments(frames)[1] == ("commit-sent",)


def test_an_execute_of_something_unknown_is_a_query() -> None:
    assert moments(begun().up.feed(bind("", "never-parsed") + execute())) == [(), ("query-sent",)]


def test_a_rollback_to_a_savepoint_is_no_rollback() -> None:
    conversation = begun()
    assert moments(conversation.up.feed(query("ROLLBACK TO s1"))) == [("savepoint-sent",)]
    assert moments(conversation.down.feed(complete("ROLLBACK") + message("Z", b"T"))) == [
        ("command-complete",),
        ("ready",),
    ]
    conversation.up.feed(query("ROLLBACK"))
    assert moments(conversation.down.feed(complete("ROLLBACK") + message("Z", b"I"))) == [
        ("command-complete", "rollback-acked"),
        ("ready", "rollback-ready"),
    ]


def test_answers_that_an_error_swallowed_are_not_awaited() -> None:
    conversation = begun()
    conversation.up.feed(query("SELECT 1/0; ROLLBACK TO s1") + query("ROLLBACK"))
    frames = conversation.down.feed(message("E", b"SERROR\0C22012\0Mdivision by zero\0\0") + message("Z", b"E"))
    assert (frames[0].sqlstate, frames[1].tx) == ("22012", "E")
    assert moments(conversation.down.feed(complete("ROLLBACK")))[0] == ("command-complete", "rollback-acked")


def test_the_first_row_of_each_result() -> None:
    conversation = begun()
    rows = message("T") + message("D") + message("N", b"\0") + message("D") + complete("SELECT 2")
    named = moments(conversation.down.feed(rows + message("D") + complete("SELECT 1")))
    assert [one for one in named if "row" in one] == [("first-row", "row"), ("row",), ("first-row", "row")]


def test_authentication() -> None:
    conversation = Conversation()
    assert moments(conversation.up.feed(STARTUP)) == [("startup",)]
    sasl = message("R", pack("!I", 10) + b"SCRAM-SHA-256\0\0")
    assert moments(conversation.down.feed(sasl + message("R", pack("!I", 11)) + message("R", pack("!I", 0)))) == [
        ("auth",),
        (),
        ("auth-ok",),
    ]
    (password,) = conversation.up.feed(message("p", b"hunter2\0"))
    assert (password.moments, password.body) == (("password",), b"")


def test_trust_is_authentication_too() -> None:
    conversation = Conversation()
    conversation.up.feed(STARTUP)
    assert moments(conversation.down.feed(message("R", b"\0" * 4))) == [("auth", "auth-ok")]


def test_encryption_refused_twice_then_plain() -> None:
    conversation = Conversation()
    for code in (GSS_REQUEST, SSL_REQUEST):
        assert moments(conversation.up.feed(pack("!II", 8, code))) == [("encryption-asked",)]
        assert moments(conversation.down.feed(b"N")) == [("encryption-answered",)]
    assert moments(conversation.up.feed(STARTUP)) == [("startup",)]
    assert moments(conversation.down.feed(message("R", b"\0" * 4))) == [("auth", "auth-ok")]


def test_encryption_accepted_makes_both_directions_opaque() -> None:
    conversation = Conversation()
    conversation.up.feed(pack("!II", 8, SSL_REQUEST))
    conversation.down.feed(b"S\x16\x03")
    assert conversation.opaque == [("upstream", "encrypted"), ("downstream", "encrypted")]
    assert conversation.up.feed(b"\x16\x03\x01 hello") == []
    assert (conversation.up.safe, conversation.down.safe) == (8 + 9, 3)


def test_a_server_may_answer_a_request_for_encryption_with_an_error() -> None:
    conversation = Conversation()
    conversation.up.feed(pack("!II", 8, SSL_REQUEST))
    assert moments(conversation.down.feed(message("E", b"SFATAL\0C53300\0\0"))) == [("error",)]


def test_tls_without_asking_is_opaque_at_its_first_byte() -> None:
    conversation = Conversation()
    assert conversation.up.feed(b"\x16") == []
    assert conversation.opaque == [("upstream", "garbage")]


def test_a_cancel_request() -> None:
    assert moments(Conversation().up.feed(pack("!IIII", 16, CANCEL_REQUEST, 1, 2))) == [("cancel",)]


def test_copy() -> None:
    conversation = begun()
    assert moments(conversation.up.feed(query("COPY t FROM STDIN"))) == [("query-sent",)]
    assert moments(conversation.down.feed(message("G", b"\0\0\0"))) == [("copy-in",)]
    sent = conversation.up.feed(message("d", b"row\n") + message("c") + message("f", b"no\0"))
    assert moments(sent) == [("copy-data",), ("copy-done",), ("copy-fail",)]
    got = conversation.down.feed(message("H", b"\0\0\0") + message("d", b"row\n") + message("W", b"\0\0\0"))
    assert moments(got) == [("copy-out",), ("copy-data",), ("copy-both",)]


def test_what_the_server_says_by_itself() -> None:
    stream = message("N", b"C01000\0\0") + message("S", b"TimeZone\0UTC\0") + message("A", b"\0" * 6)
    assert moments(begun().down.feed(stream)) == [("notice",), ("parameter",), ("notification",)]
