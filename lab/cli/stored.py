"""What commands read of stores and files of verdicts that are there already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from lab.check.replay_all import Stored
from lab.errors import BadInput
from lab.records.codec import decode_plan
from lab.records.result import Result
from lab.report.pages.shelf import DAMAGED, Shelf, damage, open_shelf
from lab.store import read_file

VERDICTS = "verdicts.json"


def results_of(path: Path) -> list[Result]:
    """The results in a file of `--json`, in one check's folder, or of a store the newest of each variant.

    Raises BadInput.
    """
    if path.is_dir() and not (path / VERDICTS).is_file():
        newest = open_shelf(path).newest
        if not newest:
            raise BadInput(f"{path} holds no check that is over", "wait until one is, or run `lab check`")
        return _labelled([check.result for check in newest if check.result is not None])
    file = path / VERDICTS if path.is_dir() else path
    try:
        document: Any = msgspec.json.decode(read_file(file.resolve()))
        if isinstance(document, dict) and "variants" in document:
            return msgspec.convert(document["variants"], list[Result])
        return [msgspec.convert(document, Result)]
    except DAMAGED as error:
        raise BadInput(
            f"{path} is no file of verdicts: {damage(error)}", "give what `--json` wrote, or a store's folder"
        ) from None


def findings_of(shelf: Shelf, damaged: list[str]) -> Iterator[Stored]:
    """The plans of all stored cases; one that cannot be read is told to `damaged`, with the reason."""
    for entry in shelf.entries():
        for case in entry.cases:
            try:
                plan = decode_plan(read_file(case.folder / "plan.json"), "plan.json")
            except DAMAGED as error:
                damaged.append(f"{case.folder}: {damage(error)}")
                continue
            yield Stored(str(case.folder / "plan.json"), plan)


def _labelled(results: list[Result]) -> list[Result]:
    """Names with the server's version where a variant was checked on several."""
    often = Counter(result.variant.name for result in results)
    return [
        msgspec.structs.replace(
            result,
            variant=msgspec.structs.replace(
                result.variant, name=f"{result.variant.name}, PostgreSQL {result.versions.get('postgresql', '?')}"
            ),
        )
        if often[result.variant.name] > 1
        else result
        for result in results
    ]
