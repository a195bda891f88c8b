from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import BadInput, UnknownName
from lab.fault import build
from lab.records.moment import NAMES, Moment
from lab.records.plan import FaultSpec
from lab.records.words import WAYS
from lab.wire.rule import Rule

COUNTS = st.integers(1, 999)
BYTES = st.none() | st.integers(0, 10**6)
CONNECTIONS = st.none() | COUNTS
NAMED = st.builds(
    Moment,
    name=st.sampled_from(sorted(set(NAMES) - {"connect"})),
    connection=CONNECTIONS,
    occurrence=COUNTS,
    byte=BYTES,
)
SIDES = st.sampled_from(["upstream", "downstream"])
BY_ORDINAL = st.builds(Moment, direction=SIDES, ordinal=COUNTS, connection=CONNECTIONS, byte=BYTES)
BY_BYTE = st.builds(Moment, direction=SIDES, byte=st.integers(0, 10**6), connection=CONNECTIONS)
MOMENTS = NAMED | BY_ORDINAL | BY_BYTE


@given(MOMENTS)
def test_text_and_back(moment: Moment) -> None:
    assert Moment.parse(str(moment)) == moment


@given(MOMENTS)
def test_a_fault_takes_every_moment_as_text(moment: Moment) -> None:
    fault = build(FaultSpec("cut-rst", {"moment": str(moment)}))
    assert msgspec.to_builtins(fault)["moment"] == str(moment)


@pytest.mark.parametrize("text", ["comit-sent", "connect+0", "c0:ready", "ready\n", "up#5:2", ""])
def test_a_fault_refuses_what_is_no_moment(text: str) -> None:
    with pytest.raises(BadInput):
        build(FaultSpec("cut-rst", {"moment": text}))


@given(MOMENTS)
def test_json_and_back(moment: Moment) -> None:
    assert msgspec.json.decode(msgspec.json.encode(moment), type=Moment) == moment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ready", Moment(name="ready")),
        ("commit-sent+0", Moment(name="commit-sent", byte=0)),
        ("c2:commit-sent:1+0", Moment(name="commit-sent", connection=2, byte=0)),
        ("ready:3", Moment(name="ready", occurrence=3)),
        ("up#5+3", Moment(direction="upstream", ordinal=5, byte=3)),
        ("c1:down#12", Moment(direction="downstream", ordinal=12, connection=1)),
        ("down@410", Moment(direction="downstream", byte=410)),
        ("connect", Moment(name="connect")),
    ],
)
def test_the_grammar(text: str, expected: Moment) -> None:
    assert Moment.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ready:0",
        "c0:ready",
        "ready+",
        "ready+-1",
        "up",
        "up#0",
        "down@",
        "up#5:2",
        "READY",
        "c2",
        "connect+0",
        "ready ",
        "ready\n",
    ],
)
def test_what_is_no_moment_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput):
        Moment.parse(text)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="commit-acked"):
        Moment.parse("comit-sent")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"name": "nonsense"},
        {"name": "ready", "ordinal": 2},
        {"name": "ready", "occurrence": 0},
        {"direction": "upstream"},
        {"direction": "upstream", "ordinal": 1, "occurrence": 2},
        {"name": "ready", "byte": -1},
        {"name": "ready", "more": 1},
    ],
)
def test_a_record_with_contradictions_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(fields, Moment)


@pytest.mark.parametrize(
    ("text", "simpler"),
    [
        ("c1:commit-sent:2+3", ("c1:commit-sent:2", "commit-sent")),
        ("c1:up#5+3", ("c1:up#5", "up#5")),
        ("ready", ("ready", "ready")),
        ("down@410", ()),
    ],
)
def test_the_simpler_moments(text: str, simpler: tuple[str, ...]) -> None:
    assert tuple(map(str, Moment.parse(text).simpler())) == simpler


def test_before_a_byte() -> None:
    assert str(Moment.parse("c1:commit-sent:2").before(0)) == "c1:commit-sent:2+0"


@given(MOMENTS)
def test_every_moment_can_be_said(moment: Moment) -> None:
    assert "None" not in moment.says()


@pytest.mark.parametrize("way", WAYS)
def test_a_rule_from_the_command_line(way: str) -> None:
    rule = Rule.parse("commit-acked:2+0", way, "server")
    assert (rule.way, rule.sides, rule.moment.occurrence) == (way, "server", 2)
    assert way in rule.says()


@pytest.mark.parametrize(
    ("way", "sides", "delay_ms"), [("explode", "both", 1), ("fin", "left", 1), ("delay", "both", -1)]
)
def test_a_rule_that_is_none(way: str, sides: str, delay_ms: int) -> None:
    with pytest.raises(BadInput):
        Rule.parse("ready", way, sides, delay_ms=delay_ms)


def test_a_rule_survives_json() -> None:
    rule = Rule.parse("c1:up#3+2", "delay", "client", delay_ms=5, repeat=True)
    assert msgspec.json.decode(msgspec.json.encode(rule), type=Rule) == rule
