from __future__ import annotations

from pathlib import Path

from lab.explore.cuts import Cuts
from lab.explore.engine import About, fingerprint
from lab.explore.ledger import Ledger
from lab.records.variant import Traits, Variant


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


def test_how_long_sessions_were_seen_to_last_makes_no_other_exploration() -> None:
    """Where they end at random each look sees something else, and a campaign has to go on from its store."""

    def head(traits: Traits) -> str:
        return fingerprint(Cuts(), [], Variant(name="x"), About(traits, {"postgresql": "18.6"}), 1.0)

    looked = head(Traits(kept=1, serves=7, lasts=1.5, keeping="one of which ended after 7 requests"))
    assert looked == head(Traits(kept=1, serves=0, lasts=10.5, keeping="which end after no fixed number"))
    assert looked != head(Traits(kept=2, serves=7, lasts=1.5))
    assert looked != head(Traits(kept=1, versions={"django": "5.2"}))
