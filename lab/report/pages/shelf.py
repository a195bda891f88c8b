"""What there is in a store, as an index needs it: checks, their cases and explorations. No history is read here.

A store may come from a stranger. Links in it are not followed, names are taken from the folders that are there and
never from a document, and a file that is too large or no file is said to be unreadable.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from lab.errors import BadInput
from lab.records.record import Record
from lab.records.result import Result
from lab.records.verdict import Finding, Verdict
from lab.report.pages.render import INDEX
from lab.report.pages.words import shown
from lab.store import CASES, STRIP, TABLE, read_case, read_file, slug

QUIET = 60.0
"""Seconds without anything new after which a check that is not over counts as stopped."""
DAMAGED = (OSError, BadInput, msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What reading a file that somebody else wrote may raise."""
STAMP = re.compile(r"\d{8}T\d{6}-")
"""How the name of a check's folder begins; other folders hold explorations and single runs."""


@dataclass(frozen=True)
class CaseEntry:
    """One stored case: its folder, the way to its page, and what its small files say; `damage` says why not."""

    folder: Path
    page: str
    name: str
    title: str = ""
    promise: str = ""
    moment: str = ""
    broken: tuple[str, ...] = ()
    agreement: dict[str, str] = field(default_factory=dict)
    damage: str = ""

    @property
    def heading(self) -> str:
        """The promise that the case is about, the moment, and the plan's own title where that says more."""
        own = self.title or shown(self.name, 120)
        promise = self.promise or shown(next(iter(self.broken), ""), 60)
        if not promise or promise in own:
            return own
        if not self.moment or self.moment in own:
            return f"{promise}: {own}"
        return f"{promise}: {self.moment}, {own}"

    @property
    def flaky(self) -> frozenset[str]:
        """The promises whose finding is not that of the run that is stored: not all its runs agreed."""
        return frozenset(name for name, phrase in self.agreement.items() if phrase.startswith("only "))

    def read(self) -> tuple[Record, tuple[Finding, ...], str]:
        """All of it, with the server's log; raises one of DAMAGED."""
        record, findings = read_case(self.folder)
        try:
            log = read_file(self.folder / "server.log").decode(errors="replace")
        except FileNotFoundError:
            log = ""
        return record, findings, log


class _Small(msgspec.Struct):
    """Of a plan what the index shows."""

    title: str = ""
    promise: str = ""
    moment: str = ""


class _Verdicts(msgspec.Struct):
    findings: tuple[Finding, ...]
    agreement: dict[str, str] = {}


@dataclass(frozen=True)
class _Folder:
    """A folder of a variant that holds cases; `place` is where its pages are."""

    variant: str
    folder: Path
    place: str
    damage: str = ""

    @property
    def page(self) -> str:
        """The way to its page from the index."""
        return f"{self.place}/{INDEX}"

    @cached_property
    def cases(self) -> list[CaseEntry]:
        """Its cases by name."""
        return [_case(case, self.place) for case in _folders(self.folder / CASES)]

    def case_of(self, evidence: str) -> CaseEntry | None:
        """The case whose plan a document names by path: only the folder's name is believed, and only if it is here."""
        name = Path(evidence).parent.name
        return next((case for case in self.cases if case.folder.name == name), None)

    def case_at(self, page: str) -> CaseEntry | None:
        """The case that has this page; the others are not read."""
        found = (case for case in _folders(self.folder / CASES) if _page_of(case, self.place) == page)
        case = next(found, None)
        return None if case is None else _case(case, self.place)


@dataclass(frozen=True)
class CheckEntry(_Folder):
    """One check's folder. `result` is None while it runs, or when it was stopped; `damage` says what cannot be read."""

    result: Result | None = None

    @property
    def stamp(self) -> str:
        """When it began, and its seed, as its folder is called."""
        return self.folder.name

    @property
    def name(self) -> str:
        """The variant as its result calls it, else as its folder is called."""
        return shown(self.result.variant.name if self.result else self.variant, 80)

    @property
    def kept(self) -> int:
        """How many further runs broke nothing; counted, not read."""
        try:
            return read_file(self.folder / "kept.jsonl").count(b"\n")
        except OSError:
            return 0

    @property
    def strip(self) -> dict[str, Any]:
        """The document of its cuts, {} where none was stored; raises one of DAMAGED."""
        try:
            return msgspec.json.decode(read_file(self.folder / STRIP), type=dict[str, Any])
        except FileNotFoundError:
            return {}

    @property
    def broken(self) -> dict[str, int]:
        """How many of its cases broke each promise: what is known before it is over."""
        return dict(sorted(Counter(promise for case in self.cases for promise in case.broken).items()))

    @property
    def running(self) -> bool:
        """Whether it is not over and something of it was written a short while ago."""
        if self.result is not None or self.damage:
            return False
        return any(_age(self.folder / name) < QUIET for name in ("", CASES, "kept.jsonl"))


@dataclass(frozen=True)
class TableEntry(_Folder):
    """One exploration's table, as plain data; `damage` says why it cannot be read. Without a kind: single runs."""

    kind: str = ""
    document: dict[str, Any] = field(default_factory=dict)
    damage: str = ""


@dataclass(frozen=True)
class Shelf:
    """A store's checks, the newest first, and its explorations."""

    root: Path
    checks: tuple[CheckEntry, ...]
    tables: tuple[TableEntry, ...]

    @cached_property
    def newest(self) -> list[CheckEntry]:
        """For each variant and server version the check that is over and began last, in the order of the names."""
        found: dict[tuple[str, str], CheckEntry] = {}
        for check in self.checks:
            if check.result is not None:
                found.setdefault((check.name, check.result.versions.get("postgresql", "")), check)
        return [found[key] for key in sorted(found)]

    def entries(self) -> Iterator[CheckEntry | TableEntry]:
        """Everything that has a folder."""
        yield from self.checks
        yield from self.tables


def open_shelf(root: Path) -> Shelf:
    """Look through a store; raises BadInput when it is none."""
    if not root.is_dir():
        raise BadInput(
            f"{root} is no store: there is no such folder", "give a store's folder, or run `lab check` first"
        )
    checks: list[CheckEntry] = []
    tables: list[TableEntry] = []
    try:
        for variant in _folders(root):
            for folder in _folders(variant):
                place = f"{_safe(variant.name)}/{_safe(folder.name)}"
                if (folder / TABLE).is_file():
                    tables.append(_table(variant.name, folder, place))
                elif not STAMP.match(folder.name):
                    if (folder / CASES).is_dir():
                        tables.append(TableEntry(variant.name, folder, place))
                elif (folder / CASES).is_dir() or (folder / "verdicts.json").is_file():
                    checks.append(_check(variant.name, folder, place))
    except OSError as error:
        raise BadInput(f"{root} cannot be read: {error.strerror}", "look at its permissions") from None
    if not checks and not tables:
        raise BadInput(f"{root} is no store: it holds no check", "give a store's folder, or run `lab check` first")
    checks.sort(key=lambda check: (check.stamp, check.variant), reverse=True)
    return Shelf(root, tuple(checks), tuple(tables))


def _check(variant: str, folder: Path, place: str) -> CheckEntry:
    entry = CheckEntry(variant, folder, place)
    try:
        return replace(entry, result=msgspec.json.decode(read_file(folder / "verdicts.json"), type=Result))
    except FileNotFoundError:
        return entry
    except DAMAGED as error:
        return replace(entry, damage=damage(error))


def _table(variant: str, folder: Path, place: str) -> TableEntry:
    entry = TableEntry(variant, folder, place)
    try:
        document = msgspec.json.decode(read_file(folder / TABLE), type=dict[str, Any])
    except DAMAGED as error:
        return replace(entry, damage=damage(error))
    return replace(entry, kind=str(document.get("kind", "")), document=document)


def page_of(plan: Path) -> str:
    """The way to a stored case's page from the index, by the path of its plan."""
    folder = plan.parents[2]
    return _page_of(plan.parent, f"{_safe(folder.parent.name)}/{_safe(folder.name)}")


def _page_of(case: Path, place: str) -> str:
    return f"{place}/{quote(_safe(case.name))}.html"


def _case(folder: Path, place: str) -> CaseEntry:
    entry = CaseEntry(folder, _page_of(folder, place), folder.name)
    try:
        plan = msgspec.json.decode(read_file(folder / "plan.json"), type=_Small)
        verdicts = msgspec.json.decode(read_file(folder / "verdicts.json"), type=_Verdicts)
    except DAMAGED as error:
        return replace(entry, damage=damage(error))
    return replace(
        entry,
        title=shown(plan.title or folder.name, 160),
        promise=shown(plan.promise, 60),
        moment=shown(plan.moment, 120),
        broken=tuple(each.promise for each in verdicts.findings if each.verdict is Verdict.BROKEN),
        agreement=verdicts.agreement,
    )


def lone_case(plan: Path) -> CaseEntry:
    """The case of one stored plan; raises BadInput where there is no run beside it."""
    folder = plan.parent if plan.name == "plan.json" else plan
    if not (folder / "history.jsonl").is_file():
        raise BadInput(
            f"{plan}: no run is stored beside this plan", "give a plan.json from a store, or make one with `lab replay`"
        )
    return replace(_case(folder, ""), page=INDEX)


def damage(error: BaseException) -> str:
    """Why something cannot be read, in a few words that quote nothing of it."""
    if isinstance(error, OSError):
        return error.strerror or "it cannot be read"
    if isinstance(error, msgspec.ValidationError | BadInput):
        return shown(str(error).rpartition("/")[2], 200)
    return "it is no JSON of this lab's"


def _age(path: Path) -> float:
    """Seconds since it changed."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return float("inf")


def _folders(path: Path) -> list[Path]:
    """The folders in a folder by name; links, hidden ones and the report itself are none."""
    try:
        with_links = sorted(path.iterdir())
    except FileNotFoundError:
        return []
    return [each for each in with_links if not each.name.startswith(".") and not each.is_symlink() and each.is_dir()]


def _safe(name: str) -> str:
    """A folder's name as one part of a page's path: unchanged where that is harmless."""
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
        return name
    return f"{slug(name)}-{sum(map(ord, name)) % 10_000}"
