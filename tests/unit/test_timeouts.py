from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from lab.explore.timeout_cell import Cell, Situation, _by
from lab.explore.timeout_text import render, to_json, to_markdown
from lab.explore.timeouts import RECOMMENDED, Row, TimeoutTable, holes, standard_rows
from lab.records.variant import Variant


def cell(loss: str, situation: Situation, seconds: float | None, by: str = "", void: str = "") -> Cell:
    return Cell(settings="its own", loss=loss, situation=situation, seconds=seconds, by=by, void=void)


CELLS = (
    cell("blackout", "connects", 3.0, "connect_timeout"),
    cell("blackout", "sends", None),
    cell("drop-to-server", "sends", None),
    cell("black-hole", "waits", None),
    cell("blackout", "idle", None, void="the fault was not seen to land"),
)


def table() -> TimeoutTable:
    return TimeoutTable(
        variant="stock",
        driver="psycopg2",
        versions={"python": "3"},
        horizon=12.0,
        rows=(Row("its own", {}),),
        cells=CELLS,
        holes=holes("its own", CELLS),
    )


def test_hole_is_what_was_measured_and_not_noticed() -> None:
    found = {(hole.loss, hole.situation): hole.remedy for hole in holes("its own", CELLS)}
    assert found == {
        ("blackout", "sends"): "set tcp_user_timeout",
        ("drop-to-server", "sends"): "set tcp_user_timeout",
        ("black-hole", "waits"): "no setting of libpq helps: it takes a deadline in the client",
    }


def test_holes_are_those_of_the_row_asked_for() -> None:
    assert holes("recommended", CELLS) == ()


def test_variant_is_measured_without_its_timeouts_where_it_has_any() -> None:
    assert [row.name for row in standard_rows(Variant(name="stock"))] == ["its own", "recommended"]
    own = Variant(name="own", options={"connect_timeout": 2})
    assert [row.name for row in standard_rows(own)] == ["its own", "without them", "recommended"]
    assert standard_rows(own)[1].options == dict.fromkeys(RECOMMENDED)


@pytest.mark.parametrize(
    ("situation", "error", "by"),
    [
        (
            "connects",
            'OperationalError: connection to server at "127.0.0.1" failed: timeout expired',
            "connect_timeout",
        ),
        ("connects", "OperationalError: connection timeout expired", "connect_timeout"),
        ("connects", "OperationalError: failed: Connection timed out", "tcp_user_timeout"),
        ("sends", "OperationalError: could not receive data from server: Connection timed out", "tcp_user_timeout"),
        ("waits", "OperationalError: could not receive data from server: Connection timed out", "keepalives"),
        ("waits", "OperationalError: canceling statement due to statement timeout", "statement_timeout"),
        ("connects", "OperationalError: couldn't get a connection after 5.00 sec", "pool timeout"),
        ("sends", "", "answered"),
        ("sends", "TimeoutError: the watchdog", "the client itself"),
        ("idle", "", "keepalives"),
    ],
)
def test_what_noticed_is_told_by_the_error(situation: Situation, error: str, by: str) -> None:
    assert _by(situation, error) == by


def test_text_names_each_hole_once_with_its_remedy() -> None:
    out = io.StringIO()
    render(table(), Console(file=out, width=160))
    text = out.getvalue()
    assert "a client that sends does not notice blackout, drop-to-server within 12 s; set tcp_user_timeout" in text
    assert "3.0  connect_timeout" in text
    assert "void" in text


def test_table_goes_through_json_and_markdown() -> None:
    assert msgspec.json.decode(to_json(table()), type=TimeoutTable) == table()
    assert "| its own | sends | not within 12 s | not within 12 s | - | - |" in to_markdown(table())
