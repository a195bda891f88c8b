"""Shards of one exploration, joined: the outcomes of all cases, and an example of each class, as if it had been one."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from lab.errors import BadInput
from lab.explore.cuts import Cuts
from lab.explore.engine import (
    KEPT,
    SHARD,
    Example,
    Exploration,
    Explored,
    Outcome,
    ShardFile,
    conclude,
    empty,
    first_cases,
    letters_of,
    place_of,
)
from lab.explore.interleavings import Interleavings
from lab.explore.ledger import read_ledger
from lab.records.shard import adding_up, agreeing
from lab.records.variant import Variant
from lab.store import CASES, Store, holding, read_case, read_file, slug, unwritable

KINDS: dict[str, type[Exploration[Any, Any]]] = {"Cuts": Cuts, "Interleavings": Interleavings}
"""The explorations whose shards can be joined, by the name of their class."""


@dataclass(frozen=True)
class Piece:
    """A shard of an exploration: its folder, what lies in it, and the outcomes of its cases by name."""

    folder: Path
    file: ShardFile
    exploration: Exploration[Any, Any]
    done: dict[str, Outcome]


@dataclass(frozen=True)
class Joined:
    """An exploration that has been joined."""

    variant: Variant
    exploration: Exploration[Any, Any]
    explored: Explored[Any, Any]


def pieces(stores: Sequence[Path]) -> list[list[Piece]]:
    """The shards of explorations in these stores, each list fit to be joined; raises BadInput where they are not."""
    found: dict[tuple[str, str], list[Piece]] = {}
    for store in stores:
        for folder in holding(store, SHARD):
            piece = _read(folder)
            found.setdefault((piece.file.variant.name, piece.exploration.name), []).append(piece)
    for (variant, name), each in found.items():
        _fit(f"{variant}, {name}", each)
        each.sort(key=lambda piece: piece.file.shard.index)
    return list(found.values())


def join(found: Sequence[Piece], into: Store) -> Joined:
    """Join the shards of one exploration; raises BadInput where a case is missing, StoreUnwritable."""
    first, exploration = found[0].file, found[0].exploration
    done = {name: outcome for piece in found for name, outcome in piece.done.items()}
    cases = exploration.cases(first.seen)
    missing = [case.name for case in cases if case.name not in done]
    if missing:
        raise BadInput(
            f"{first.variant.name}, {exploration.name}: {len(missing)} of {len(cases)} cases are in none of the "
            f"shards, {missing[0]} first",
            "run the shards again: one was stopped, or its store was changed",
        )
    outcomes = {case: done[case.name] for case in cases}
    place = place_of(exploration, first.variant, into)
    empty(place.path / CASES)
    examples = {}
    for letter, case in first_cases(letters_of(outcomes)).items():
        piece = next(each for each in found if case.name in each.file.examples)
        folder, agreed, runs = piece.file.examples[case.name]
        name = slug(exploration.example_name(KEPT.get(letter, letter), case))
        source = piece.folder / CASES / slug(folder)
        with unwritable(place.path):
            shutil.copytree(source, place.path / CASES / name, symlinks=True)
        _, findings = read_case(source)
        examples[letter] = Example(case, agreed, runs, place.path / CASES / name / "plan.json", findings)
    return Joined(first.variant, exploration, conclude(exploration, outcomes, examples, into))


def _read(folder: Path) -> Piece:
    try:
        file = msgspec.json.decode(read_file(folder / SHARD), type=ShardFile)
        exploration = msgspec.convert(file.exploration, KINDS[file.kind])
        done = read_ledger(folder / exploration.ledger, [file.head, file.shard])
        outcomes = {name: msgspec.convert(outcome, Outcome) for name, outcome in done.items()}
    except (OSError, KeyError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{folder} is no shard of this lab: {getattr(error, 'strerror', None) or error}",
            "run the shard again with the lab that merges",
        ) from None
    return Piece(folder, file, exploration, outcomes)


def _fit(name: str, found: Sequence[Piece]) -> None:
    files = [piece.file for piece in found]
    variants = [file.variant for file in files]
    places = [piece.folder for piece in found]
    differing: dict[str, list[Any]] = {
        "the lab": [file.edition for file in files],
        "the number of shards": [file.shard.of for file in files],
        "versions": [file.versions for file in files],
        "the variant": [(each.engine, each.driver, each.settings, each.options, each.module) for each in variants],
        "the promises": [file.promises for file in files],
        "the bound": [file.bound for file in files],
        "what is explored": [(file.kind, file.exploration, file.seen) for file in files],
    }
    agreeing(name, places, differing)
    adding_up(name, [file.shard for file in files])
