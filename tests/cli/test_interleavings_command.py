from __future__ import annotations

from pathlib import Path

import pytest

from fix_cli import Lab

GLOBAL = ("explore", "interleavings", "published_global")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*GLOBAL, "--preemptions", "few"), "that is no number"),
        ((*GLOBAL, "--request", "read"), "given 1 times"),
        ((*GLOBAL, "--request", "read", "--request", "sleep"), "no request 'sleep'"),
        ((*GLOBAL, "--requests", "4"), "--requests"),
        ((*GLOBAL, "--with-fault", "earthquake"), "no fault 'earthquake'"),
        ((*GLOBAL, "--with-fault", "black-hole", "--fault-param", "depth=1"), "depth"),
        ((*GLOBAL, "--fault-param", "depth=1"), "--with-fault"),
        ((*GLOBAL, "--promise", "eternity"), "eternity"),
        (("shrink", "nowhere.json"), "cannot be read"),
    ],
)
def test_bad_input_is_one_line_before_anything_starts(lab_inside: Lab, arguments: tuple[str, ...], words: str) -> None:
    done = lab_inside(*arguments)
    assert done.returncode == 254
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


def test_shrink_wants_a_known_promise(lab_inside: Lab, tmp_path: Path) -> None:
    plan = '{"version": 1, "variant": {"name": "any"}, "steps": [{"do": "begin", "actor": "t0"}]}'
    (tmp_path / "plan.json").write_text(plan)
    done = lab_inside("shrink", "plan.json", "--promise", "eternity")
    assert done.returncode == 254
    assert "eternity" in done.stderr
