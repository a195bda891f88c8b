from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from lab.explore.timeouts.cell import Cell, Situation, _by
from lab.explore.timeouts.run import SLOTS, WIDTH, _width
from lab.explore.timeouts.setting import options_of, settings
from lab.explore.timeouts.table import ROWS, Row, TimeoutTable, holes
from lab.records.variant import Traits, Variant
from lab.report.timeouts import print_timeouts


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
        settings=settings({"connect_timeout": 3}, CELLS),
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


def test_table_has_the_same_rows_for_every_variant() -> None:
    assert [row.name for row in ROWS] == ["its own", "without them", "recommended"]
    assert set(ROWS[1].options) == set(ROWS[2].options)
    assert set(ROWS[1].options.values()) == {None}


def test_each_setting_is_judged_by_what_it_ended() -> None:
    cells = [
        cell("blackout", "connects", 3.0, "connect_timeout"),
        cell("black-hole", "connects", 3.4, "connect_timeout"),
        cell("blackout", "waits", 4.9, "keepalives"),
        cell("blackout", "sends", None),
    ]
    options = {"connect_timeout": 3, "keepalives_idle": 2, "tcp_user_timeout": 60000, "pool": {"timeout": 7}}
    judged = {each.name: each for each in settings({**options, "options": "-c statement_timeout=4s"}, cells)}
    assert list(judged) == [
        *("connect_timeout", "keepalives", "tcp_user_timeout"),
        *("statement_timeout", "pool timeout", "the client itself"),
    ]
    connect = judged["connect_timeout"]
    assert (connect.value, connect.situations, connect.least, connect.most) == ("3", ("connects",), 3.0, 3.4)
    assert (judged["keepalives"].value, judged["keepalives"].situations) == ("keepalives_idle=2", ("waits",))
    assert (judged["tcp_user_timeout"].value, judged["tcp_user_timeout"].situations) == ("60000", ())
    assert (judged["statement_timeout"].value, judged["pool timeout"].value) == ("4s", "7")
    assert judged["the client itself"].least is None


def test_settings_of_a_settings_module_are_known_as_far_as_they_are_plain() -> None:
    plain = Traits(settings={"OPTIONS": {"connect_timeout": 5}})
    assert options_of(Variant(name="x", options={"keepalives": 1}), plain) == {"connect_timeout": 5, "keepalives": 1}
    assert options_of(Variant(name="x"), Traits(settings={"OPTIONS": "<object at 0x1>"})) == {}


def test_cells_of_a_pool_are_as_many_as_the_server_has_slots_for() -> None:
    assert _width({}, Traits()) == WIDTH
    assert _width({"pool": True}, Traits(pool_max=4)) == SLOTS // 4
    assert _width({"pool": {"min_size": 1000}}, Traits(pool_max=1000)) == 1


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
    print_timeouts(Console(file=out, width=160), table())
    text = out.getvalue()
    assert "a client that sends does not notice blackout, drop-to-server within 12 s; set tcp_user_timeout" in text
    assert "3.0  connect_timeout" in text
    assert "void" in text
    assert "connect_timeout   │ 3" in text


def test_table_goes_through_json() -> None:
    assert msgspec.json.decode(table().encode(), type=TimeoutTable) == table()
