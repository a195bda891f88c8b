"""Shards of one check, joined: their evidence in one folder, and the result that the whole check would have had."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from lab.check.part import FILE, Further, Part, at, conclude, read
from lab.check.trial import Trial
from lab.errors import BadInput
from lab.records.result import Result, encode_results
from lab.records.secret import masked
from lab.records.shard import WHOLE, adding_up, agreeing
from lab.records.verdict import Verdict
from lab.store import CASES, STRIP, CheckFolder, Store, holding, read_file, unwritable, write

KEPT = "kept.jsonl"


@dataclass(frozen=True)
class Piece:
    """A shard's part, and the check's folder that it lies in."""

    folder: Path
    part: Part


def pieces(stores: Sequence[Path]) -> dict[str, list[Piece]]:
    """The shards of checks in these stores, by variant, those of one variant fit to be joined; {} where there are none.

    Raises BadInput for shards that cannot be, or that do not add up.
    """
    found: dict[str, list[Piece]] = {}
    for store in stores:
        for folder in holding(store, FILE):
            piece = Piece(folder, read(folder))
            found.setdefault(piece.part.variant.name, []).append(piece)
    for name, each in found.items():
        _alike(name, each)
        each.sort(key=lambda piece: piece.part.shard.index)
    return found


def merge(found: Sequence[Piece], into: Store) -> Result:
    """Join the shards of one variant in a folder of its own; raises StoreUnwritable, the shards being as they were."""
    first = found[0].part
    folder = into.open(first.variant.name, first.seed)
    try:
        parts = [_copied(piece, folder) for piece in found]
        whole = joined(parts)
        result = conclude(whole)
        folder.finish(encode_results([result]))
    except BaseException:
        shutil.rmtree(folder.path, ignore_errors=True)  # a reader would take half of it for a check that was stopped
        raise
    return result


def joined(parts: Sequence[Part]) -> Part:
    """The parts of all shards as the part of the whole check."""
    first = parts[0]
    trials = sorted((trial for part in parts for trial in part.trials), key=lambda trial: trial.case.number)
    cuts = next((part.cuts for part in parts if part.cuts is not None), None)
    search = next((part.search for part in parts if part.search is not None), None)
    known = {promise for trial in (*trials, *(cuts or Further()).trials) for promise in trial.broken}
    if search is not None:  # the whole check would not have searched for what it knows to be broken
        search = msgspec.structs.replace(search, trials=tuple(each for each in search.trials if _new(each, known)))
    return msgspec.structs.replace(
        first,
        shard=WHOLE,
        trials=tuple(trials),
        cuts=cuts,
        search=search,
        seconds=round(sum(part.seconds for part in parts), 3),
        skipped=tuple(dict.fromkeys(words for part in parts for words in part.skipped)),
    )


def _new(trial: Trial, known: set[str]) -> bool:
    return any(each.promise not in known for each in trial.findings if each.verdict is Verdict.BROKEN)


def _alike(name: str, found: Sequence[Piece]) -> None:
    """Raises BadInput where these are no shards of one whole."""
    agreeing(name, [piece.folder for piece in found], _must_agree(found))
    adding_up(name, [piece.part.shard for piece in found])
    numbers = Counter(trial.case.number for piece in found for trial in piece.part.trials)
    lost = [number for number in range(1, len(found[0].part.plans) + 1) if numbers[number] != 1]
    if lost:
        raise BadInput(
            f"{name}: {len(lost)} plans are in none of the shards, or in several, number {lost[0]} first",
            "run the shards again: one was stopped, or its store was changed",
        )


def _must_agree(found: Sequence[Piece]) -> dict[str, list[Any]]:
    parts = [piece.part for piece in found]
    return {
        "the lab": [part.edition for part in parts],
        "the number of shards": [part.shard.of for part in parts],
        "the settings of the check": [masked(part.settings) for part in parts],
        "the variant": [_variant(part) for part in parts],
        "versions": [part.versions for part in parts],
        "the promises": [(part.promises, part.not_applicable) for part in parts],
        "the plans": [part.plans for part in parts],
    }


def _variant(part: Part) -> tuple[Any, ...]:
    """What it is, without the folders of the machine on which the shard ran."""
    each = part.variant
    settings = (each.driver, each.settings, each.options, each.module, each.alias, each.bare)
    return part.engine, *settings, each.claims, each.maximum


def _copied(piece: Piece, folder: CheckFolder) -> Part:
    """The evidence of a shard in the joined folder, and its part as it lies there."""
    with unwritable(folder.path):
        shutil.copytree(piece.folder / CASES, folder.path / CASES, dirs_exist_ok=True, symlinks=True)
        kept = piece.folder / KEPT
        if kept.is_file() and not kept.is_symlink():
            with kept.open("rb") as source, (folder.path / KEPT).open("ab") as target:
                shutil.copyfileobj(source, target)
    strip = piece.folder / STRIP
    if strip.is_file():
        place = str(piece.folder.relative_to(piece.folder.parents[1])).encode()
        here = str(folder.path.relative_to(folder.path.parents[1])).encode()
        write(
            folder.path / STRIP, read_file(strip).replace(place + b"/" + CASES.encode(), here + b"/" + CASES.encode())
        )
    return at(piece.part, piece.folder, folder.path)
