"""Stores that somebody has changed by hand: whatever stands in a file, it costs its own page at most."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.report.pages.folder import report_store
from lab.report.pages.shelf import open_shelf
from lab.report.pages.site import answer
from lab.store import STRIP, TABLE
from unit.stored import EVIL, store_of_every_kind
from unit.test_report_pages import Page

FEW: list[Any] = [None, 1e308, EVIL, [], {"a": 1}]
ODD: list[Any] = [
    None,
    True,
    -1,
    1 << 70,
    1e308,
    float("nan"),
    "",
    EVIL,
    "\ud800",
    [],
    {},
    [[[]]],
    {"a": 1},
    ["x"] * 50,
]


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to everything in a JSON document."""
    found = [way]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        found += places(each, (*way, key))
    return found


def changed(value: Any, way: tuple[Any, ...], odd: Any) -> Any:
    """The document with something else at that place."""
    if not way:
        return odd
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[way[0]] = changed(value[way[0]], way[1:], odd)
    return copy


def tamper(file: Path, draw: Any) -> None:
    """Change one thing in a file of JSON, or of JSON lines."""
    lines = file.read_text().splitlines() if file.suffix == ".jsonl" else [file.read_text()]
    number = draw(st.integers(0, len(lines) - 1))
    document = json.loads(lines[number])
    way = draw(st.sampled_from(places(document)))
    lines[number] = json.dumps(changed(document, way, draw(st.sampled_from(ODD))))
    file.write_text("\n".join(lines) + "\n")


def versions_of(text: str, lines: bool) -> Iterator[str]:
    """The file with each of its places changed in turn."""
    parts = text.splitlines() if lines else [text]
    for number, part in enumerate(parts):
        document = json.loads(part)
        for way in places(document):
            for odd in FEW:
                yield "\n".join([*parts[:number], json.dumps(changed(document, way, odd)), *parts[number + 1 :]])


@pytest.mark.slow
def test_each_place_of_each_file_may_hold_anything(tmp_path: Path) -> None:
    store_of_every_kind(tmp_path)
    shelf = open_shelf(tmp_path)
    check = next(check for check in shelf.checks if check.result is not None)
    case = check.cases[0]
    files = {file: case.page for file in case.folder.iterdir() if file.suffix in (".json", ".jsonl")}
    files[check.folder / "verdicts.json"] = check.page
    files |= {entry.folder / TABLE: entry.page for entry in shelf.tables if entry.kind}
    files[check.folder / STRIP] = check.page
    assert len(files) == 15
    tried = 0
    for file, page in files.items():
        text = file.read_text()
        for version in versions_of(text, file.suffix == ".jsonl"):
            file.write_text(version)
            served = answer(tmp_path, f"/{page}")
            assert served.status == 200
            assert len(served.body) < 200_000, f"{file.name}: {version[:200]}"
            tried += 1
        file.write_text(text)
    assert tried > 1000


@pytest.mark.slow
@given(st.data())
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_one_thing_changed_anywhere_costs_no_more_than_a_page(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "store"
        store_of_every_kind(root)
        files = sorted(path for path in root.rglob("*.json*") if path.is_file() and path.stat().st_size)
        for file in data.draw(st.lists(st.sampled_from(files), min_size=1, max_size=6, unique=True)):
            tamper(file, data.draw)
        report_store(root)
        written = sorted((root / "report").rglob("*.html"))
        assert len(written) > 10
        for path in written:
            Page(path.read_text())
        for entry in open_shelf(root).entries():
            for page in (entry.page, *(case.page for case in entry.cases)):
                served = answer(root, f"/{page}")
                assert served.status == 200
                Page(served.body.decode())
