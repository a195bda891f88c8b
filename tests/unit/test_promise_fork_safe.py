from __future__ import annotations

import pytest

from lab.records.census import Session
from lab.records.plan import Begin, End, Enter, Exit, Fork, Leave, Read, Write
from lab.records.record import Record
from unit.histories import asks, census, lost, ok, record, session, verdict

SAFE = "fork-safe"
T, C = "t0", "c0.t0"
FORKS = ok(Fork(T), child="c0", pid=7)
HELD = census(session("1@a"), at="fork")


def test_nobody_forked() -> None:
    assert verdict(SAFE, record(*asks(T, "1@a"))) == "unknown"


def test_each_process_has_its_own() -> None:
    told = (*asks(T, "1@a"), FORKS, HELD, *asks(C, "2@b"), *asks(T, "1@a"), ok(Exit(C)), *asks(T, "1@a"))
    assert verdict(SAFE, record(*told)) == "kept"


def test_a_child_on_the_session_of_its_parent() -> None:
    assert verdict(SAFE, record(*asks(T, "1@a"), FORKS, HELD, *asks(C, "1@a"))) == "broken"
    later = (*asks(T, "1@a"), FORKS, *asks(C, "2@b"), *asks(T, "2@b"))
    assert verdict(SAFE, record(*later)) == "broken"


def test_a_session_that_no_statement_had_used_is_the_parents_too() -> None:
    held = census(session("1@a"), session("9@i"), at="fork")
    assert verdict(SAFE, record(*asks(T, "1@a"), FORKS, held, *asks(C, "9@i"))) == "broken"


@pytest.mark.parametrize(("sockets", "expected"), [((11,), "kept"), ((11, 19), "broken")])
def test_a_session_that_a_child_has_opened_as_it_came_to_be_is_its_own(sockets: tuple[int, ...], expected: str) -> None:
    """As a pool that a hook opens after the fork: the parent has no socket for it."""
    held = census(session("1@a"), session("2@b"), at="fork", sockets={"": sockets})
    ends = census(session("1@a"), session("2@b"), at="end", actor=C)
    assert verdict(SAFE, record(*asks(T, "1@a"), FORKS, held, *asks(C, "2@b"), ends, *asks(T, "1@a"))) == expected


def test_children_on_one_session() -> None:
    two = (FORKS, ok(Fork(T, "c1"), child="c1", pid=8), *asks(C, "2@b"), *asks("c1.t0", "2@b"))
    assert verdict(SAFE, record(*two)) == "broken"


def test_a_child_that_ends_takes_a_resting_session_with_it() -> None:
    only = (*asks(T, "1@a"), FORKS, HELD, ok(Exit(C, "close_all")))
    assert verdict(SAFE, record(*only, census(session("1@a"), at="exit", actor=C), *asks(T, "1@a"))) == "kept"
    assert verdict(SAFE, record(*only, census(at="exit", actor=C), *asks(T, "2@b"))) == "broken"


def test_what_the_parent_closes_itself_is_its_own_affair() -> None:
    told = (*asks(T, "1@a"), FORKS, HELD, *asks(T, "1@a"), ok(Exit(C)), census(at="exit", actor=C))
    assert verdict(SAFE, record(*told)) == "kept"


@pytest.mark.parametrize(
    ("connects", "verdicts"),
    [
        pytest.param(2, "kept", id="one session that is closing, one that is not there yet"),
        pytest.param(1, "broken", id="the one socket is that of the session"),
        pytest.param(-1, "broken", id="not counted"),
    ],
)
def test_a_socket_on_which_no_session_has_begun_yet_is_not_that_of_one_that_was_closing(
    connects: int, verdicts: str
) -> None:
    """A parent that opens its next session behind: the last one is still there, the next one only connects."""
    at_fork = census(session("1@a"), at="fork", sockets={"": (12,)}, connects=connects)
    exits = census(session("2@b"), at="exit", actor=C, sockets={"": (12,)}, spoken={"": (12,)})
    assert verdict(SAFE, record(*asks(T, "1@a"), FORKS, at_fork, ok(Exit(C)), exits)) == verdicts


@pytest.mark.parametrize(
    ("inherited", "expected"), [pytest.param((11,), "kept", id="inherited"), pytest.param((), "broken", id="its own")]
)
def test_a_socket_that_a_child_has_inherited_is_not_that_of_a_session_of_its_own(
    inherited: tuple[int, ...], expected: str
) -> None:
    """The child, too, has just closed its session when it forks."""
    first = census(session("1@a"), at="fork", sockets={"": (11,)}, connects=1)
    both = {"": inherited, "c0": (11,)}
    second = census(session("1@a"), session("2@b"), at="fork", actor=C, sockets=both, connects=2)
    ends = census(session("1@a"), at="exit", actor="c1.t0", sockets=both, spoken={"c0": (11,)})
    forks = (*asks(T, "1@a"), FORKS, first, *asks(C, "2@b"), ok(Fork(C, "c1"), child="c1"), second)
    assert verdict(SAFE, record(*forks, ok(Exit("c1.t0")), ends)) == expected


def test_who_has_ended_a_resting_session_is_told_by_the_sockets() -> None:
    two = session("1@a"), session("2@b")
    forks = (*asks(T, "1@a"), FORKS, census(*two, at="fork", sockets={"": (11, 12)}), ok(Exit(C)))
    one = session("2@b")

    def after(*left: Session, sockets: tuple[int, ...]) -> Record:
        return record(*forks, census(*left, at="exit", actor=C, sockets={"": sockets}))

    assert verdict(SAFE, after(sockets=())) == "kept"
    assert verdict(SAFE, after(one, sockets=(12,))) == "kept"
    assert verdict(SAFE, after(one, sockets=(11, 12))) == "broken"
    assert verdict(SAFE, after(sockets=(12,))) == "broken"


def test_a_session_whose_socket_was_closed_before_the_fork_was_ending_then() -> None:
    """A thread of the parent's closes what is idle; the server takes a moment to see it."""
    asked = (*asks(T, "1@a"), *asks(T, "2@b"))
    two, one = (session("1@a"), session("2@b")), session("1@a")
    for had, left, expected in (((11,), one, "kept"), ((11, 12), one, "broken"), ((11,), None, "broken")):
        forks = (*asked, FORKS, census(*two, at="fork", sockets={"": had}), ok(Exit(C)))
        told = census(*([left] if left else []), at="exit", actor=C, sockets={"": had})
        assert verdict(SAFE, record(*forks, told)) == expected


def test_a_statement_of_the_parent_fails_after_what_a_child_did() -> None:
    begun = (ok(Begin(T)), ok(Read(T), on="1@a"), FORKS, HELD)
    assert verdict(SAFE, record(*begun, lost(Read(C)), ok(Read(T), on="1@a"), ok(End(T)), ok(Exit(C)))) == "kept"
    assert verdict(SAFE, record(*begun, ok(Exit(C)), lost(Read(T)), ok(End(T)))) == "broken"


@pytest.mark.parametrize(("in_atomic", "expected"), [(True, "kept"), (False, "broken")])
def test_a_request_that_begins_in_a_block_which_was_left_open_fails_without_any_child(
    in_atomic: bool, expected: str
) -> None:
    """Django closes the session at its begin, and says so at its first statement."""
    begun = (ok(Enter(T)), ok(Write(T), on="1@a"), FORKS, HELD, ok(Read(C), on="2@b"))
    again = (ok(Begin(T), in_atomic=in_atomic), lost(Read(T)), ok(End(T)))
    assert verdict(SAFE, record(*begun, *again)) == expected


@pytest.mark.parametrize(("never_left", "expected"), [(1, "kept"), (0, "broken")])
def test_nor_does_one_after_a_block_that_was_never_left_need_a_child_to_fail(never_left: int, expected: str) -> None:
    begun = (FORKS, HELD, ok(Begin(T)), ok(Enter(T)), ok(Write(T), on="1@a"), ok(End(T), never_left=never_left))
    fails = (ok(Begin(T)), lost(Read(T)), ok(End(T)))
    assert verdict(SAFE, record(*begun, *asks(C, "2@b"), *fails, *fails)) == expected
    healed = record(*begun, *asks(C, "2@b"), *asks(T, "3@c"), *asks(C, "2@b"), *fails)
    assert verdict(SAFE, healed) == "broken", "a good request came between"


def test_a_parent_that_goes_on_on_another_session_without_a_word() -> None:
    block = (ok(Begin(T)), ok(Enter(T)), ok(Write(T), on="1@a"), FORKS, ok(Exit(C)))
    assert verdict(SAFE, record(*block, ok(Write(T), on="2@b"), ok(Leave(T)), ok(End(T)))) == "broken"


def test_a_child_on_the_session_of_another_alias() -> None:
    kin, childs = Read(T, alias="kin"), Read(C, alias="kin")
    begun = (ok(Begin(T)), ok(Read(T), on="1@a"), ok(kin, on="2@b"), ok(End(T)), FORKS, ok(Begin(C)))
    assert verdict(SAFE, record(*begun, ok(childs, on="3@c"), ok(End(C)), *asks(T, "1@a"))) == "kept"
    assert verdict(SAFE, record(*begun, ok(childs, on="2@b"), ok(End(C)), *asks(T, "1@a"))) == "broken"


def test_each_alias_has_a_session_of_its_own_to_go_on_with() -> None:
    kin = Read(T, alias="kin")
    begun = (ok(Begin(T)), ok(Read(T), on="1@a"), ok(kin, on="2@b"), FORKS, ok(Exit(C)))
    assert verdict(SAFE, record(*begun, ok(kin, on="2@b"), ok(Read(T), on="1@a"), ok(End(T)))) == "kept"
    assert verdict(SAFE, record(*begun, ok(kin, on="3@c"), ok(End(T)))) == "broken"
    assert verdict(SAFE, record(*begun, ok(kin, on="1@a"), ok(End(T)))) == "broken"


def test_a_session_that_the_server_has_ended_is_not_laid_to_a_silent_child() -> None:
    forks = (*asks(T, "1@a"), FORKS, census(session("1@a"), at="fork", sockets={"": (11,)}), ok(Exit(C)))

    def after(**spoken: tuple[int, ...]) -> Record:
        told = census(at="exit", actor=C, sockets={"": (11,)}, spoken={"": spoken["on"]} if spoken else {})
        return record(*forks, told, ok(Begin(T)), lost(Read(T)), ok(End(T)))

    assert verdict(SAFE, after(on=())) == "kept"
    assert verdict(SAFE, after(on=(11,))) == "broken"
    assert verdict(SAFE, after()) == "broken"
