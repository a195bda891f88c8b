from __future__ import annotations

from pathlib import Path

from lab.explore.ledger import Ledger


def test_a_ledger_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "cuts.jsonl"
    Ledger(path, "one").add("a", ["x"])
    with path.open("ab") as file:
        file.write(b'["b", [')  # a stop in the middle of a line
    again = Ledger(path, "one")
    assert again.done == {"a": ["x"]}
    again.add("c", [])
    assert Ledger(path, "one").done == {"a": ["x"], "c": []}
    assert Ledger(path, "two").done == {}


def test_a_finished_ledger_begins_anew(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "cuts.jsonl", "one")
    ledger.add("a", [])
    ledger.finish()
    assert Ledger(tmp_path / "cuts.jsonl", "one").done == {}
