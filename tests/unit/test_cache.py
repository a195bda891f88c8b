from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lab.rig.machine import cache


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "connection-lab"


def fill(stage: Path) -> None:
    (stage / "something").write_text("there", encoding="ascii")


def age(path: Path, days: float) -> None:
    then = time.time() - days * 86_400
    os.utime(path, (then, then))


def test_what_was_not_used_for_long_is_removed_and_nothing_else(place: Path) -> None:
    old, used, other = (cache.publish(name, fill) for name in ("template-old", "template-used", "toxiproxy-old"))
    for path in (old, used, other):
        age(path, 40)
    assert cache.publish("template-used", fill) == used, "using it makes it young"
    cache.prune("template-", days=30)
    assert sorted(path.name for path in place.iterdir() if path.is_dir() and path.name != "stage") == [
        "template-used",
        "toxiproxy-old",
    ]
    assert not (place / "template-old.lock").exists()


def test_what_was_removed_is_built_again(place: Path) -> None:
    age(cache.publish("template-old", fill), 40)
    cache.prune("template-", days=30)
    assert (cache.publish("template-old", fill) / "something").read_text(encoding="ascii") == "there"
    assert place.is_dir()
