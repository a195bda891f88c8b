"""`lab explore timeouts` as a person runs it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from fix_cli import Lab
from lab.errors import ToolMissing
from lab.explore.timeouts.table import LOSSES, ROWS, TimeoutTable
from lab.rig.netns import probe


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no variant is given"),
        (["nosuch"], "'nosuch' is neither"),
        (["django_persistent", "--driver", "mysql"], "--driver"),
        (["django_persistent", "--option", "connect_timeout"], "not KEY=JSON"),
        (["django_persistent", "--setting", "HOST=1"], "the lab's own"),
        (["django_persistent", "--path", "/no/such"], "--path /no/such is no folder"),
        (["django_persistent", "--json", "/no/such/file"], "no folder /no/such"),
        (["django_persistent", "--horizon", "0"], "--horizon"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_arguments_are_one_line(lab_inside: Lab, arguments: list[str], said: str) -> None:
    done = lab_inside("explore", "timeouts", *arguments)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, line[:5]) == (254, "lab: ")
    assert said in line


@pytest.mark.netns
@pytest.mark.slow
def test_table_settings_and_holes_are_printed_and_written(lab_command: Lab, tmp_path: Path) -> None:
    try:
        probe.probe()
    except ToolMissing as refusal:
        pytest.skip(str(refusal))
    own = ("--option", "connect_timeout=2", "--option", "tcp_user_timeout=1000")
    done = lab_command("explore", "timeouts", "django_persistent", *own, "--horizon", "4", "--json", "table.json")
    assert done.returncode == 0, done.stderr
    assert "not within 4 s" in done.stdout
    assert "hole in its own: a client that is idle does not notice blackout" in done.stdout
    table = msgspec.json.decode((tmp_path / "table.json").read_bytes(), type=TimeoutTable)
    assert tuple(row.name for row in table.rows) == tuple(row.name for row in ROWS)
    assert len(table.cells) == len(ROWS) * (4 * len(LOSSES) - 1)
    sends = table.cell("its own", "blackout", "sends")
    assert sends is not None
    assert sends.by == "tcp_user_timeout"
    judged = {each.name: each.situations for each in table.settings}
    assert judged["connect_timeout"] == ("connects",) or "connects" in judged["tcp_user_timeout"]
    assert not judged["keepalives"]
